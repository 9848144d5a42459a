from .current import (
    load_current_catalog as load_current_catalog,
    require_unchanged as require_unchanged,
)
from .discovery import unselectable as unselectable
from .identity import (
    code_identity as code_identity,
    core_identity as core_identity,
    core_on_disk as core_on_disk,
    plugin_origin as plugin_origin,
    variant_identity as variant_identity,
)
from .importing import files_read as files_read
from .plugin import Plugin as Plugin
from .python_models import (
    PythonModel as PythonModel,
    offer_python_model as offer_python_model,
    take_python_models as take_python_models,
    without_python_models as without_python_models,
)
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
from .wrapping import (
    dataset_chain as dataset_chain,
    dataset_identity as dataset_identity,
)
