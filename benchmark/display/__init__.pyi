from .displays import open_display as open_display
from .training_display import (
    TrainingDisplay as TrainingDisplay,
    warnings_of as warnings_of,
)
