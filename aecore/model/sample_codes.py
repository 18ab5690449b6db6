"""New codes, from the sampler of a model or else its prior."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Generator, Tensor

from aecore.errors import ConfigError, UserError
from aecore.model.conditioning import need_labels
from aecore.model.passes import Model


def sample_codes(
    model: Model,
    n: int,
    generator: Generator | None,
    y: Tensor | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """`n` codes (n, *code_shape) that are possible outputs of the latent.

    y: the classes (n,) of a conditional model. temperature: scales the standard deviation of the
    Gaussian samples that codes are computed from.
    Raises UserError without prior and sampler, or if a temperature is not supported.
    """
    if not model.can_sample:
        if model.needs_context:
            why, hint = "this network's unpooling needs an image", "train with network=conv"
        else:
            why = "this latent has no prior"
            hint = "train with latent=gaussian, penalty=mmd, or sampler=gmm"
        raise UserError(f"nothing to sample from: {why}", hint)
    shape, like = (n, *model.code_shape), model.like
    if model.sampler is None:
        prior = model.prior_density
        temperature = _checked(temperature, prior.no_temperature)
        return prior.sample(shape, like, generator, temperature)
    temperature = _checked(temperature, model.sampler.no_temperature)
    if model.classes is None:
        z = model.sampler.draw(n, like, generator, temperature)
    else:
        z = model.sampler.draw_of(need_labels(y), like, generator, temperature)
    if model.sampler.of_indices:
        return model.latent.decode_indices(z).to(like.dtype)
    return model.latent.nearest(z.view(shape))


def cycle_classes(model: Model, n: int) -> Tensor | None:
    """Classes (n,) 0, 1, ... in turn for a conditional model; None for others."""
    if model.classes is None:
        return None
    return torch.arange(n, device=model.shift.device) % model.classes


def _checked(temperature: float, reason: str | None) -> float:
    number = isinstance(temperature, Real) and math.isfinite(temperature)
    if not number or temperature < 0:
        problem = "must be 0 or more; 1 draws as it was learned"
        raise ConfigError("temperature", temperature, problem)
    if temperature != 1 and reason is not None:
        raise ConfigError("temperature", temperature, reason, {"temperature": 1})
    return float(temperature)
