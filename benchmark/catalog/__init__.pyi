from .discovery import selected_plugins as selected_plugins
from .plugin import Plugin as Plugin
from .shelves import (
    Catalog as Catalog,
    Offer as Offer,
    Shelf as Shelf,
    load_catalog as load_catalog,
    require_same as require_same,
    require_sound as require_sound,
)
