"""Which of these models, trained the same way, is better, by how much, and at what cost?

This is the public face: all that a plugin's author needs. ``__init__.pyi`` lists its names. Each is
imported when it is first used, so that ``import benchmark`` loads neither torch nor pydantic.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
