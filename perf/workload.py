"""What every contender is given to do. Imports neither torch nor TensorFlow."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from benchmark import Images
from perf.random_images import draw_images

# As the recipe ``adam`` has them.
LEARNING_RATE = 1e-3
EPSILON = 1e-7


@dataclass(frozen=True)
class Workload:
    """``blocks`` times the same ``steps`` steps of ``batch_size`` random images, in another order.

    ``precision`` is that of the contenders who are free to choose one; the others compute in fp32.
    ``compiled`` concerns the framework alone.
    """

    model: str
    batch_size: int
    steps: int
    blocks: int
    precision: str
    compiled: bool = False
    seed: int = 0

    @property
    def image_count(self) -> int:
        """How many images a block sees: each once."""
        return self.steps * self.batch_size

    def images(self) -> Images:
        """The images, the same for every contender: uint8 of N x 3 x 32 x 32, int64 of N."""
        return draw_images(self.image_count, self.seed)

    def to_json(self) -> str:
        """The workload as a worker is told it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Workload:
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))
