"""The contractive penalty: the squared norm of the Jacobian of the encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt, component
from aecore.errors import UserError
from aecore.model.networks.base import flat
from aecore.model.networks.dense import product
from aecore.model.passes import Model, ModuleProtocol, Pass
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.checks import no_batch_norm

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


_MAX_COST = 8  # times the multiplications of the encoder

# derivatives of activations as functions of their outputs
_SLOPES: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: lambda y: (y > 0).to(y.dtype),
    nn.Sigmoid: lambda y: y * (1 - y),
    nn.Tanh: lambda y: 1 - y.square(),
}


class Contractive(Penalty):
    """||d mean(z) / d x_in||_F^2 per image (Rifai et al. 2011).

    Most encoders need another forward pass for it.

    method: 'exact'; 'estimate' (unbiased, `samples` random projections: E ||J^T v||^2 = ||J||_F^2
    for independent signs v, Hutchinson 1990); 'auto' is exact for fully connected encoders of one
    hidden layer, say, if it needs at most 8 times as many multiplications as the encoder itself,
    and the estimate otherwise.
    """

    @component
    def __init__(
        self, *, method: Literal["auto", "exact", "estimate"], samples: PositiveInt
    ) -> None:
        super().__init__()
        self.method = method
        self.samples = samples

    @override
    def forward(self, p: Pass) -> Tensor:
        with torch.enable_grad():
            layers = _dense_layers(p.model)
            if layers is not None:
                steps = dense_steps(layers, p)
                encoder = sum(step.factor.numel() for step in steps if step.linear)
                expensive = exact_products(steps) > _MAX_COST * encoder
                if self.method == "estimate" or (self.method == "auto" and expensive):
                    return estimated_dense_norm(steps, len(p.x_in), self.samples, p.generator)
                return dense_norm(steps, len(p.x_in))
            if self.method == "exact":
                return jacobian_norm(p)
            return estimated_norm(p, self.samples)

    @override
    def check(self, model: Model) -> None:
        if not model.latent.smooth:
            raise UserError(
                "penalty=contractive: this code is discrete, so it has no derivative by the image",
                "use latent=deterministic, or another penalty",
            )
        no_batch_norm([model.encoder, model.latent], "contractive", "code")


def _dense_layers(model: Model) -> list[nn.Module] | None:
    """The encoder up to the code as Linear and elementwise layers, None if it has others."""
    if not model.latent.layered:
        return None
    parts = [*model.encoder.modules(), *model.latent.modules()]
    leaves = [m for m in parts if not any(m.children()) and not isinstance(m, nn.Flatten)]
    if not all(isinstance(m, (nn.Linear, *_ELEMENTWISE)) for m in leaves):
        return None
    return leaves


@dataclass(frozen=True, slots=True)
class LayerStep:
    """A factor of the Jacobian of a chain of dense layers.

    factor: a weight matrix (out, in) where `linear`, else activation derivatives, (N, width).
    """

    factor: Tensor
    linear: bool


def dense_steps(layers: list[nn.Module], p: Pass) -> list[LayerStep]:
    """The factors W_1, D_1, W_2, ... of the Jacobian of dense layers at p.x_in, in forward order.

    Layers are not run again if the pass contains the output of an activation whose derivative is a
    function of it. The Jacobian is with respect to the image, not to the class.
    """
    pixels = flat(p.model.image_shape)
    outputs = {_last(p.model.encoder): p.h, _last(p.model.latent): p.code.mean}
    if any(isinstance(layer, nn.Dropout) for layer in layers):
        outputs = {}  # another pass has other dropout masks
    steps: list[LayerStep] = []
    h = p.model.encoder_input(p.x_in.detach(), p.y).flatten(1)
    pending: list[nn.Module] = []  # layers since h
    for layer in layers:
        pending.append(layer)
        if isinstance(layer, nn.Linear):
            steps.append(LayerStep(layer.weight if steps else layer.weight[:, :pixels], True))
            continue
        output, slope = outputs.get(layer), _SLOPES.get(type(layer))
        if output is not None and slope is not None:
            h = output.flatten(1)
            slopes = slope(h)
        else:
            for before in pending[:-1]:
                h = before(h)
            before_it = h if h.requires_grad else h.requires_grad_()
            h = layer(before_it)
            (slopes,) = torch.autograd.grad(h.sum(), before_it, create_graph=True)
        steps.append(LayerStep(slopes, False))
        pending = []
    return steps


def _last(part: ModuleProtocol) -> nn.Module:
    """The last layer of a part of the model."""
    return [m for m in part.modules() if not any(m.children())][-1]


def estimated_dense_norm(
    steps: list[LayerStep], images: int, samples: int, generator: Generator | None
) -> Tensor:
    """Unbiased estimate of `dense_norm` from `samples` projections of the code, (N,).

    ||v^T B W_1||^2 = v^T B (W_1 W_1^T) B^T v: its cost does not depend on
    the input's width, and it needs no second derivative.
    """
    first = steps[0].factor
    gram = product(first, first)
    last = next(step.factor for step in reversed(steps) if step.linear)
    total = first.new_zeros(images)
    for _ in range(samples):
        back = signs(first.new_empty(images, len(last)), generator)
        for step in reversed(steps[1:]):
            back = back @ step.factor if step.linear else back * step.factor
        total = total + ((back @ gram) * back).sum(1)
    return total / samples


def signs(like: Tensor, generator: Generator | None) -> Tensor:
    """Independent -1 and 1 of equal probability, of the shape of `like`."""
    return torch.empty_like(like).bernoulli_(0.5, generator=generator).mul_(2).sub_(1)


def dense_norm(steps: list[LayerStep], images: int) -> Tensor:
    """Exact squared Frobenius norm of the Jacobian of a chain of dense layers, (N,).

    The Jacobian W_L D_{L-1} ... D_1 W_1 is multiplied from the code's side (D: the derivatives
    of activations); a wide input is avoided by ||B W_1||^2 = tr(B (W_1 W_1^T) B^T).
    """
    first = steps[0].factor
    back: Tensor | None = None  # B: (K, width) if equal for all images, else (N, K, width)
    for i in range(len(steps) - 1, 0, -1):
        step = steps[i].factor
        if steps[i].linear:
            back = step if back is None else back @ step
        elif i == 1 and (back is None or back.dim() == 2):
            # the last derivatives d and a shared B: the quadratic form d (B^T B * gram) d
            gram = product(first, first)
            form = gram if back is None else (back.T @ back) * gram
            if back is None:
                return (step.square() * gram.diagonal()).sum(1)
            return ((step @ form) * step).sum(1)
        else:
            back = torch.diag_embed(step) if back is None else back * step.unsqueeze(-2)
    if back is None:
        return first.square().sum().expand(images)
    if first.shape[1] < first.shape[0]:
        norm = (back @ first).square().flatten(-2).sum(-1)
    else:
        norm = ((back @ product(first, first)) * back).flatten(-2).sum(-1)
    return norm.expand(images) if norm.dim() == 0 else norm


def exact_products(steps: list[LayerStep]) -> int:
    """Multiplications per image in `dense_norm`, without those shared by all images."""
    first = steps[0].factor
    codes, total, shared = 0, 0, True  # B is (codes, width), per image unless `shared`
    for i in range(len(steps) - 1, 0, -1):
        step = steps[i].factor
        codes = codes or step.shape[0 if steps[i].linear else 1]
        if steps[i].linear:
            total += 0 if shared else codes * step.numel()
        elif i == 1 and shared:
            return len(first) ** 2
        else:
            shared = False
    return total if shared else total + codes * len(first) * min(first.shape)


def _mean_code(p: Pass) -> tuple[Tensor, Tensor]:
    x = p.x_in.detach().requires_grad_()
    h, _ = p.model.features(x, p.y)
    return x, p.model.latent(h, p.generator, sample=False).mean.flatten(1)


def jacobian_norm(p: Pass) -> Tensor:
    """Exact squared Frobenius norm for any encoder, one backward pass per code unit, (N,)."""
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
        (row,) = torch.autograd.grad(mean, x, signs(mean, p.generator), create_graph=True)
        total = total + row.square().flatten(1).sum(1)
    return total / samples
