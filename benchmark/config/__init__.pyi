from .again import config_document as config_document
from .control import (
    control_of as control_of,
    control_seeds as control_seeds,
)
from .model_choice import (
    choose_models as choose_models,
    resolve_model as resolve_model,
)
from .plugins import (
    config_plugins as config_plugins,
    plugins_of_run as plugins_of_run,
)
from .python_values import (
    mapping_document as mapping_document,
    with_keywords as with_keywords,
)
from .run_config import (
    RunConfig as RunConfig,
    find_document as find_document,
    load_config as load_config,
    preset_names as preset_names,
    resolve_selection as resolve_selection,
)
from .seeds import SeedsUntil as SeedsUntil
from .strict_yaml import (
    Document as Document,
    parse_key as parse_key,
    parse_value as parse_value,
)
from .variants import ChosenModel as ChosenModel
