"""What must be equal for two rows to be compared: images, recipe, epochs and the rest."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import Field

from benchmark.plain_data import Record, SparseRecord, canonical_json

# An identity has so many hexadecimal digits.
IDENTITY_LENGTH = 12
Identity = Annotated[str, Field(pattern=f"^[0-9a-f]{{{IDENTITY_LENGTH}}}$")]


class Selection(Record):
    """An entry chosen by name, and its options."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


# What becomes of training images that are also among those to judge by.
Duplicates = Literal["keep", "drop"]


class ChosenDataset(Selection):
    """A data set chosen by name, its options, and what becomes of ``duplicates``."""

    duplicates: Duplicates = "keep"


class RecipeRecord(Selection):
    """A recipe with its options; ``identity`` tells its code from its next version."""

    identity: Identity


class DatasetRecord(SparseRecord):
    """The images a trial saw. ``fingerprint`` is that of the whole data set, also of a subset's.

    ``identity`` tells the code of the data set's plugin from its next version. So many
    ``validation_images`` judge the model after every epoch, none where it is the test images that
    do. There are no ``test_images`` where a run leaves them alone. Where ``duplicates`` are
    dropped, no training image is also among those to judge by. ``image`` are channels, height and
    width of an image, and ``class_counts`` how many of the images that models are compared by each
    class has, in the order of the classes; both None in records that were written before there were
    such fields.
    """

    name: str
    identity: Identity
    fingerprint: str
    train_images: int = Field(ge=1)
    validation_images: int | None = Field(default=None, ge=1)
    test_images: int = Field(ge=0)
    classes: int = Field(ge=1)
    duplicates: Literal["drop"] | None = None
    image: tuple[int, int, int] | None = None
    class_counts: tuple[int, ...] | None = None

    @property
    def judged_by(self) -> Literal["test", "validation"]:
        """Which images models are compared by."""
        return "test" if self.test_images else "validation"

    @property
    def judging_images(self) -> int:
        """How many images models are compared by."""
        return self.test_images or self.validation_images or 0

    @property
    def largest_class_share(self) -> float | None:
        """What always naming the largest class would score; None where that is not known."""
        counts = self.class_counts
        return max(counts) / sum(counts) if counts else None


# What follows from the fingerprint and the numbers of images, so that a protocol without it is the
# same one.
_IMPLIED_BY_IMAGES = frozenset(("image", "class_counts"))


class Protocol(Record):
    """All that must be equal for two rows to be compared."""

    dataset: DatasetRecord
    recipe: RecipeRecord
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    steps_per_epoch: int = Field(ge=1)
    precision: str

    @property
    def hash(self) -> str:
        """SHA-256 of the protocol but for what its images imply, in hexadecimal."""
        stated = self.model_dump(mode="json", exclude={"dataset": set(_IMPLIED_BY_IMAGES)})
        return hashlib.sha256(canonical_json(stated)).hexdigest()
