"""What the records allow one to say: means, intervals, and which code a figure comes from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
