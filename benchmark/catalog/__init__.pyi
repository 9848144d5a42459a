from .importing import files_read as files_read
from .plugin import Plugin as Plugin
from .selection import selected_plugins as selected_plugins
from .shelves import (
    Catalog as Catalog,
    Offer as Offer,
    Shelf as Shelf,
    load_catalog as load_catalog,
    require_same as require_same,
    require_sound as require_sound,
)
