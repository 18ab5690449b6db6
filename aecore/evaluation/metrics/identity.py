"""How far a linear model is from the identity on its images."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from aecore.config.component import Probability
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.principal import need_few, principal_components
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial, need_no_targets
from aecore.model.autoencoder import Autoencoder
from aecore.model.module import leaves
from aecore.model.networks.base import flat

_LINEAR = (
    nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.AvgPool2d, nn.Flatten, nn.Unflatten, nn.Identity,
    nn.Dropout, nn.Dropout2d, nn.Sequential,
)  # fmt: skip
_TRIED = 64  # images on which the model must be linear


class IdentityDistance(Metric):
    """`identity_distance`: ||(P - I) V||_F / ||V||_F of a linear model x -> P x + c.

    P is the product of its matrices, decoder times encoder, in the model's range; the columns
    of V are the leading principal components of the test images, as many as explain `explained`
    of their variance. A perfect model has 0, one that ignores the image 1.
    """

    reports: ClassVar = {"identity_distance": Reported(False)}

    explained: Probability

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for a model that is not linear, or too large, and for targets."""
        model = trial.model
        need_no_targets(trial)
        need_linear(trial)
        return {
            "identity_distance": distance(product(model), principal_space(trial, self.explained))
        }


def need_linear(trial: Trial) -> None:
    """Raise SkippedError unless the model is a product of matrices (plus a constant)."""
    model = trial.model
    if model.needs_context:
        raise SkippedError("the model is not linear: it pools maxima")
    for part in (model.encoder, model.latent, model.decoder):
        for leaf in leaves(part):
            if not isinstance(leaf, _LINEAR):
                name = type(leaf).__name__
                raise SkippedError(f"the model is no product of matrices: it has {name}")
    if model.classes is not None:
        raise SkippedError("the model is class-conditional")
    need_few(flat(model.image_shape))
    x = model.normalise(trial.first(_TRIED).tensors()[0])
    y = x.flip(0)
    one, other, middle = (_through(model, part) for part in (x, y, (x + y) / 2))
    error = (middle - (one + other) / 2).abs().max()
    if error > 1e-3 * max(1.0, float(one.abs().max())):
        raise SkippedError(
            "the model is not linear: its matrices are, but not what its reconstruction makes of "
            "their output"
        )


def _through(model: Autoencoder, x: Tensor) -> Tensor:
    """Images in the model's range -> their reconstructions, there as well."""
    h, _ = model.features(model.reconstruction.expected(x))
    mean = model.latent(h, None, False).mean
    output: Tensor = model.decoder(mean)
    image: Tensor = model.reconstruction.image(output)
    return image


def product(model: Autoencoder) -> Tensor:
    """The matrix (D, D) of a linear model of D pixels, on the CPU; the constant is left out."""
    units = torch.eye(flat(model.image_shape), device=model.shift.device)
    units = units.reshape(-1, *model.image_shape)
    constant = _through(model, torch.zeros_like(units[:1]))
    columns = [(_through(model, part) - constant).flatten(1) for part in torch.split(units, 512)]
    matrix: Tensor = torch.cat(columns).T.float().cpu()
    return matrix


def principal_space(trial: Trial, explained: float) -> Tensor:
    """The fewest leading principal components that explain that share: (D, K), orthonormal.

    Of the images in the model's range. Raises SkippedError where the images do not differ.
    """
    components = principal_components(trial.model.normalise(x) for x, _ in trial.batches())
    if not components.variances.any():
        raise SkippedError("the images do not differ")
    shares = components.variances.cumsum(0) / components.variances.sum()
    count = min(int((shares < explained).sum()) + 1, len(shares))
    return components.directions[:, :count]


def distance(matrix: Tensor, components: Tensor) -> float:
    """||(P - I) V||_F / ||V||_F of P (D, D) and V (D, K)."""
    moved = matrix.double() @ components - components
    return float(moved.norm() / components.norm())
