from .discovery import unselectable as unselectable
from .identity import (
    code_identity as code_identity,
    core_identity as core_identity,
    plugin_origin as plugin_origin,
    variant_identity as variant_identity,
)
from .importing import files_read as files_read
from .plugin import Plugin as Plugin
from .selection import (
    is_in_folder as is_in_folder,
    selected_plugins as selected_plugins,
    settled as settled,
)
from .shelves import (
    Catalog as Catalog,
    Offer as Offer,
    Shelf as Shelf,
    load_catalog as load_catalog,
    require_sound as require_sound,
)
