"""The contractive penalty: the squared norm of the Jacobian of the encoder."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.errors import UserError
from aecore.model.module import leaves
from aecore.model.networks.base import ACTIVATIONS, flat
from aecore.model.networks.dense import product
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.checks import no_batch_norm
from aecore.model.penalties.projections import estimated_norm, random_signs

_ELEMENTWISE = tuple(ACTIVATIONS.values())

# derivatives of activations as functions of their outputs
_SLOPES: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: lambda y: (y > 0).to(y.dtype),
    nn.Sigmoid: lambda y: y * (1 - y),
    nn.Tanh: lambda y: 1 - y.square(),
}


class Contractive(Penalty):
    """||d mean(z) / d x_in||_F^2 per image (Rifai et al. 2011).

    method: 'exact', of deep encoders one backward pass per code unit; 'estimate' (unbiased,
        `samples` random projections: E ||J^T v||^2 = ||J||_F^2 for independent signs v,
        Hutchinson 1990); 'auto' is exact for fully connected encoders with at most one activation,
        for which it costs about as much as the encoder, and the estimate otherwise.
    """

    method: Literal["auto", "exact", "estimate"]
    samples: PositiveInt

    @override
    def forward(self, p: Pass) -> Tensor:
        with torch.enable_grad():
            layers = shallow_layers(p.model)
            if layers is not None:
                return shallow_norm(layers, p, self.samples if self.method == "estimate" else None)
            x, mean = mean_code(p)
            if self.method == "exact":
                return jacobian_norm(x, mean)
            return estimated_norm(x, mean, self.samples, p.generator)

    @override
    def check(self, model: Model) -> None:
        if not model.latent.smooth:
            raise UserError(
                "penalty=contractive: this code is discrete, so it has no derivative by the image",
                "use latent=deterministic, or another penalty",
            )
        no_batch_norm([model.encoder, model.latent], "contractive", "code")


def shallow_layers(model: Model) -> list[nn.Module] | None:
    """The encoder up to the code: Linear layers and at most one activation; None if it is other."""
    if not model.latent.layered:
        return None
    layers = [m for m in leaves(model.encoder, model.latent) if not isinstance(m, nn.Flatten)]
    others = [m for m in layers if not isinstance(m, nn.Linear)]
    shallow = len(others) <= 1 and all(isinstance(m, _ELEMENTWISE) for m in others)
    return layers if shallow and isinstance(layers[0], nn.Linear) else None


def shallow_norm(layers: list[nn.Module], p: Pass, samples: int | None = None) -> Tensor:
    """Squared Frobenius norm for `shallow_layers`, (N,); by the image, not by the class.

    The Jacobian is A diag(d) B with the slopes d of the activation, so its squared norm is the
    quadratic form d^T (A^T A * B B^T) d, for which no matrix is needed per image.

    samples: estimate it from that many projections v^T A diag(d) B, without a second derivative.
    """
    weights = [layer.weight for layer in layers if isinstance(layer, nn.Linear)]
    weights[0] = weights[0][:, : flat(p.model.image_shape)]
    split = next((n for n, m in enumerate(layers) if not isinstance(m, nn.Linear)), len(layers))
    inner = reduce(lambda first, second: second @ first, weights[:split])  # B
    if split == len(layers):
        return inner.square().sum().expand(len(p.x_in))
    gram, slopes = product(inner, inner), _slopes(layers[: split + 1], p)
    outer = None  # A
    if weights[split:]:
        outer = reduce(lambda first, second: second @ first, weights[split:])
    if samples is None:
        form = gram.diagonal().diag() if outer is None else (outer.T @ outer) * gram
        return ((slopes @ form) * slopes).sum(1)
    total = slopes.new_zeros(len(slopes))
    for _ in range(samples):
        units = slopes if outer is None else slopes.new_empty(len(slopes), len(outer))
        signs = random_signs(units, p.generator)
        back = (signs if outer is None else signs @ outer) * slopes
        total = total + ((back @ gram) * back).sum(1)
    return total / samples


def _slopes(layers: list[nn.Module], p: Pass) -> Tensor:
    """The derivatives of the last of these layers, an activation, at p.x_in, (N, units)."""
    slope = _SLOPES.get(type(layers[-1]))
    if slope is not None and leaves(p.model.encoder)[-1] is layers[-1]:  # its output is in the pass
        return slope(p.h.flatten(1))
    h = p.model.encoder_input(p.x_in.detach(), p.y).flatten(1)
    for layer in layers[:-1]:
        h = layer(h)
    h = h if h.requires_grad else h.requires_grad_()
    return torch.autograd.grad(layers[-1](h).sum(), h, create_graph=True)[0]


def mean_code(p: Pass) -> tuple[Tensor, Tensor]:
    """The input of the encoder, and its mean codes (N, dim), encoded again with gradients."""
    x = p.x_in.detach().requires_grad_()
    h, _ = p.model.features(x, p.y)
    return x, p.model.latent(h, p.generator, sample=False).mean.flatten(1)


def jacobian_norm(x: Tensor, mean: Tensor) -> Tensor:
    """||d mean / d x||_F^2 of codes (N, dim), one backward pass per code unit, (N,)."""
    units = torch.eye(mean.shape[1], device=mean.device, dtype=mean.dtype)
    rows = torch.autograd.grad(
        mean,
        x,
        units.unsqueeze(1).expand(-1, *mean.shape),
        create_graph=True,
        is_grads_batched=True,
    )[0]
    return rows.square().flatten(2).sum((0, 2))
