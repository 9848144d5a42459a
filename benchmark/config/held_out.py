"""What a config says of the images that judge a model: held out, of the test set, or both."""

from __future__ import annotations

from typing import Any

from benchmark.config.checker import Checker
from benchmark.config.seeds import is_whole_number

EXPECTED = "should be a number of images (1 or more), or a share of them between 0 and 1"


def checked_validation(validation: Any) -> Any:
    """The number or the share of training images to hold out; raises ValueError."""
    if validation is None:
        return None
    if is_whole_number(validation) and validation >= 1:
        return validation
    if isinstance(validation, float) and 0 < validation < 1:
        return validation
    raise ValueError(f"{EXPECTED}, got {validation!r}")


def refuse_subset_of_nothing(checker: Checker, test: bool, test_images: int | None) -> None:
    """Note a fault where test images are counted that are not to be looked at."""
    if not test and test_images is not None:
        checker.fault(("test_images",), "has no effect with test: false; leave one of them out")
