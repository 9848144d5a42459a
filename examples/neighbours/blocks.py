"""What a network is made of."""

from torch import nn


class ResidualBlock(nn.Module):
    """Adds to what comes in what one convolution makes of it."""

    def __init__(self, channels):
        super().__init__()
        self.change = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        )

    def forward(self, features):
        return features + self.change(features)
