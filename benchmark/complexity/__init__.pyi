from .counting import (
    FEWEST_IMAGES as FEWEST_IMAGES,
    Layer as Layer,
    MacCount as MacCount,
    count_macs as count_macs,
    count_parameters as count_parameters,
    images_to_check as images_to_check,
    layer_table as layer_table,
    noise_images as noise_images,
)
