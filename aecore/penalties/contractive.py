"""The contractive penalty: how much the code moves when the input does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from aecore.errors import UserError
from aecore.penalties.base import Penalty
from aecore.types import Pass
from aecore.words import PositiveInt, word

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder

_ELEMENTWISE = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Softplus,
    nn.Sigmoid,
    nn.Tanh,
    nn.Dropout,
)


class Contractive(Penalty):
    """||d mean(z) / d x_in||_F^2 per image (Rifai et al. 2011, eq. 3), the encoder run once more.

    method: 'exact'; 'estimate' (unbiased, `samples` random projections: E ||J^T v||^2 = ||J||_F^2
    for independent signs v, Hutchinson 1990); 'auto' is exact for fully connected encoders, whose
    norm costs no backward pass, and the estimate for others.
    """

    @word
    def __init__(
        self, *, method: Literal["auto", "exact", "estimate"], samples: PositiveInt
    ) -> None:
        super().__init__()
        self.method = method
        self.samples = samples

    def forward(self, p: Pass) -> Tensor:
        with torch.enable_grad():
            layers = _dense_layers(p.model)
            if layers is not None and self.method != "estimate":
                return dense_norm(layers, p.x_in)
            if self.method == "exact":
                return jacobian_norm(p)
            return estimated_norm(p, self.samples)

    def check(self, model: Autoencoder) -> None:
        parts = [*model.encoder.modules(), *model.latent.modules()]
        if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in parts):
            raise UserError(
                "penalty=contractive with network.norm=batch: a batch-normalised code depends on "
                "the other images, so it has no Jacobian of its own\n"
                "  use network.norm=layer or network.norm=null"
            )


def _dense_layers(model: Autoencoder) -> list[nn.Module] | None:
    """The encoder up to the code as Linear and elementwise layers, None if it has others."""
    if model.latent.variational:
        return None
    parts = [*model.encoder.modules(), *model.latent.modules()]
    leaves = [m for m in parts if not any(m.children()) and not isinstance(m, nn.Flatten)]
    if not all(isinstance(m, (nn.Linear, *_ELEMENTWISE)) for m in leaves):
        return None
    return leaves


def dense_norm(layers: list[nn.Module], x: Tensor) -> Tensor:
    """Exact squared Frobenius norm of the Jacobian of a chain of dense layers, (N,).

    The Jacobian W_L D_{L-1} ... D_1 W_1 is multiplied from the code's side (D: the activations'
    slopes), and never meets the input's width: ||B W_1||^2 = tr(B (W_1 W_1^T) B^T).
    """
    steps: list[Tensor] = []  # weights (out, in) and slopes (N, width), in forward order
    h = x.detach().flatten(1)
    for layer in layers:
        if isinstance(layer, nn.Linear):
            h = layer(h)
            steps.append(layer.weight)
        else:
            before = h if h.requires_grad else h.requires_grad_()
            h = layer(before)
            steps.append(torch.autograd.grad(h.sum(), before, create_graph=True)[0])
    linear = [isinstance(layer, nn.Linear) for layer in layers]
    first = steps[0]
    gram = first @ first.T
    back: Tensor | None = None  # B, (K, width) while the images share it, else (N, K, width)
    for i in range(len(steps) - 1, 0, -1):
        step = steps[i]
        if linear[i]:
            back = step if back is None else back @ step
        elif i == 1 and (back is None or back.dim() == 2):
            # the last slopes and a shared B: a quadratic form in the slopes, d (B^T B * gram) d
            form = gram if back is None else (back.T @ back) * gram
            if back is None:
                return (step.square() * gram.diagonal()).sum(1)
            return ((step @ form) * step).sum(1)
        else:
            back = torch.diag_embed(step) if back is None else back * step.unsqueeze(-2)
    if back is None:
        return gram.diagonal().sum().expand(len(x))
    norm = ((back @ gram) * back).flatten(-2).sum(-1)
    return norm.expand(len(x)) if norm.dim() == 0 else norm


def _mean_code(p: Pass) -> tuple[Tensor, Tensor]:
    x = p.x_in.detach().requires_grad_()
    h, _ = p.model.features(x)
    return x, p.model.latent(h, p.generator, sample=False).mean.flatten(1)


def jacobian_norm(p: Pass) -> Tensor:
    """Exact squared Frobenius norm for any encoder, one backward pass for each code unit, (N,)."""
    x, mean = _mean_code(p)
    units = torch.eye(mean.shape[1], device=mean.device, dtype=mean.dtype)
    rows = torch.autograd.grad(
        mean,
        x,
        units.unsqueeze(1).expand(-1, *mean.shape),
        create_graph=True,
        is_grads_batched=True,
    )[0]
    return rows.square().flatten(2).sum((0, 2))


def estimated_norm(p: Pass, samples: int) -> Tensor:
    """Unbiased estimate of the squared Frobenius norm from `samples` projections, (N,)."""
    x, mean = _mean_code(p)
    total = torch.zeros(len(x), device=x.device, dtype=x.dtype)
    for _ in range(samples):
        signs = torch.empty_like(mean).bernoulli_(0.5, generator=p.generator).mul_(2).sub_(1)
        (row,) = torch.autograd.grad(mean, x, signs, create_graph=True)
        total = total + row.square().flatten(1).sum(1)
    return total / samples
