"""The same networks as plain torch modules, and their losses; MNIST as tensors."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.datasets.mnist import read_image_file

CODE = {"shallow": 64, "deep": 30, "conv": 16 * 4 * 4, "vae": 20}


def mnist(data: str, images: int) -> Tensor:
    """(images, 1, 28, 28) float32 in [0, 1]."""
    path = Path(data, "MNIST", "raw", "train-images-idx3-ubyte")
    pixels: Tensor = read_image_file(str(path))
    return pixels[:images].unsqueeze(1).float().div_(255)


def dense(*widths: int) -> list[nn.Module]:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers[:-1]


def encoder(network: str) -> nn.Sequential:
    """Images (N, 1, 28, 28) -> codes; of the VAE, mean and log-variance side by side."""
    match network:
        case "shallow":
            return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU())
        case "deep":
            return nn.Sequential(nn.Flatten(), *dense(784, 512, 256, 128, 30))
        case "vae":
            return nn.Sequential(nn.Flatten(), *dense(784, 512, 256, 40))
    layers: list[nn.Module] = []
    for before, after in ((1, 8), (8, 16), (16, 16)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers)


def decoder(network: str) -> nn.Sequential:
    """Codes -> images (N, 1, 28, 28), of the VAE logits."""
    back = nn.Unflatten(1, (1, 28, 28))
    match network:
        case "shallow":
            return nn.Sequential(nn.Linear(64, 784), back)
        case "deep":
            return nn.Sequential(*dense(30, 128, 256, 784), back)
        case "vae":
            return nn.Sequential(*dense(20, 256, 512, 784), back)
    return nn.Sequential(
        nn.ConvTranspose2d(16, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1),
    )


class Model(nn.Module):
    """Images in, loss out: sums over an image, means over images."""

    def __init__(self, network: str) -> None:
        super().__init__()
        self.variational = network == "vae"
        self.encoder, self.decoder = encoder(network), decoder(network)

    def forward(self, x: Tensor) -> Tensor:
        """The loss of images (N, 1, 28, 28), a scalar."""
        z: Tensor = self.encoder(x)
        if not self.variational:
            return F.mse_loss(self.decoder(z), x, reduction="sum") / len(x)
        mean, log_var = z.chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        cost = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum()
        loss: Tensor = (cost + kl) / len(x)
        return loss
