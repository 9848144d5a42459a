"""Where plugins come from, what became of them, and their entries on shelves by name."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
