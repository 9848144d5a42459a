from .discovery import selected_plugins as selected_plugins
from .identity import (
    code_identity as code_identity,
    core_identity as core_identity,
    origin_of as origin_of,
    variant_identity as variant_identity,
)
from .plugin import Plugin as Plugin
from .shelves import (
    Catalog as Catalog,
    Offer as Offer,
    Shelf as Shelf,
    load_catalog as load_catalog,
    require_sound as require_sound,
)
