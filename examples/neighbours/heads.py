"""What a network ends with."""

from torch import nn


class PooledHead(nn.Sequential):
    """Averages each channel over the image, and makes logits of the averages."""

    def __init__(self, channels, num_classes):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
