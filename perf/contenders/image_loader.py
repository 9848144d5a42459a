"""The data loader of the tutorials, which the usual loop and Lightning share."""

from __future__ import annotations

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmark import Images
from perf.workload import Workload

WORKERS = 2


class PictureDataset(Dataset[tuple[torch.Tensor, int]]):
    """Images as torchvision's ``CIFAR10`` gives them: a PIL image each, then transformed."""

    def __init__(self, images: Images) -> None:
        self._pixels = images.pixels.transpose(0, 2, 3, 1).copy()
        self._labels = images.labels.tolist()
        self._transform = transforms.ToTensor()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(Image.fromarray(self._pixels[index])), self._labels[index]


def make_loader(workload: Workload) -> DataLoader[tuple[torch.Tensor, int]]:
    """Shuffled batches from two worker processes.

    They stay from epoch to epoch: to start them anew would cost a short block more than it costs
    an epoch of 50,000 images.
    """
    return DataLoader(
        PictureDataset(workload.images()),
        batch_size=workload.batch_size,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
    )
