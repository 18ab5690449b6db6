"""Principal component analysis: the optimal linear autoencoder in closed form."""

from __future__ import annotations

import math

import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from aecore.errors import ConfigError, Hint
from aecore.model.autoencoder import Autoencoder
from aecore.model.reconstruction.errors import MSE
from aecore.training.optimizers.base import Optimizer


class ClosedForm(Optimizer):
    """Solves a linear autoencoder under squared error exactly (Baldi & Hornik 1989).

    The encoder's rows are the leading eigenvectors of the covariance of the training images,
    the decoder is its transpose, the biases hold the mean.
    """

    def check(self, model: Autoencoder, images: int) -> None:
        """Raise ConfigError unless the model is a linear one, without noise and penalties.

        images: number of training images; with the pixels it bounds latent.dim.
        """
        wrong: tuple[str, str, Hint] | None = None
        if model.noise.active:
            wrong = "noise", "PCA has no training that noise could enter", {"noise": "none"}
        elif model.penalties:
            wrong = "penalty", "PCA minimises the squared error alone", {"penalty": "none"}
        elif model.classes is not None:
            wrong = "conditional", "PCA knows no classes", {"conditional": False}
        elif not isinstance(model.reconstruction, MSE):
            wrong = "reconstruction", "PCA minimises the squared error", {"reconstruction": "mse"}
        elif _matrices(model) is None:
            linear = "use network=linear and latent=deterministic, with bias and no activation"
            wrong = "network", "PCA needs linear maps", linear
        if wrong is not None:
            key, problem, hint = wrong
            raise ConfigError(key, ..., f"cannot go with optimizer=closed_form: {problem}", hint)
        pixels = math.prod(model.image_shape)
        largest = min(images, pixels)
        if math.prod(model.code_shape) > largest:
            raise ConfigError(
                "latent.dim",
                math.prod(model.code_shape),
                f"PCA of {images} images of {pixels} pixels has at most {largest} components",
                {"latent.dim": f"{largest} or less"},
            )

    def solve(self, model: Autoencoder, pixels: Tensor, seed: int) -> None:
        """Set the weights of a model that `check` accepts, from training pixels (N, C, H, W)."""
        rows = model.normalise(pixels).flatten(1)
        matrices = _matrices(model)
        assert matrices is not None, "check() comes first"
        encoder, decoder = matrices
        # sklearn's own choice is a randomised solver for large data, some 0.1 % off the optimum
        solver = "covariance_eigh" if rows.shape[0] >= rows.shape[1] else "full"
        pca = PCA(encoder.out_features, svd_solver=solver, random_state=seed).fit(rows.numpy())
        components = torch.from_numpy(pca.components_).to(encoder.weight)
        mean = torch.from_numpy(pca.mean_).to(encoder.weight)
        with torch.no_grad():
            encoder.weight.copy_(components)
            encoder.bias.copy_(-components @ mean)
            decoder.weight.copy_(components.T)
            decoder.bias.copy_(mean)


def _matrices(model: Autoencoder) -> tuple[nn.Linear, nn.Linear] | None:
    """The encoder's and the decoder's one affine map, None where there is more or less."""
    sides = ([*model.encoder.modules(), *model.latent.modules()], [*model.decoder.modules()])
    matrices: list[nn.Linear] = []
    for modules in sides:
        leaves = [m for m in modules if not any(m.children())]
        layers = [m for m in leaves if not isinstance(m, (nn.Flatten, nn.Unflatten))]
        if len(layers) != 1 or not isinstance(layers[0], nn.Linear) or layers[0].bias is None:
            return None
        matrices.append(layers[0])
    return (matrices[0], matrices[1]) if not model.latent.variational else None
