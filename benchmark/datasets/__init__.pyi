from .cache import (
    decoded_folder as decoded_folder,
    default_data_directory as default_data_directory,
)
from .division import (
    TrialImages as TrialImages,
    trial_images as trial_images,
    validation_size as validation_size,
)
from .loading import (
    Dataset as Dataset,
    first_available as first_available,
    load_dataset as load_dataset,
)
from .overlaps import overlap_sentences as overlap_sentences
