"""Importance weights p(x, z) / q(z | x) of several sampled codes per image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from aecore.model.codes import Code, Pathwise, Posterior, at_least_float32, posterior_of
from aecore.model.passes import Inputs, Model, Pass
from aecore.model.priors.base import PriorDensity


@dataclass(frozen=True, slots=True)
class WeightedCodes:
    """Decoded codes of R images with their importance weights.

    output: (R, C, H, W). cost: the reconstruction loss, (R,).
    log_weight: log p(x | z) + log p(z) - log q(z | x) in nats, (R,).
    """

    output: Tensor
    cost: Tensor
    log_weight: Tensor


@dataclass(frozen=True, slots=True)
class ImportanceSamples:
    """K codes for each of N images.

    first: the pass with the first code of each image, for penalties.
    z: (K N, *code_shape), sample by sample, with the gradients of the weights.
    costs, log_weights: (K, N).
    decoder_log_weights: where encoder and decoder have bounds of their own, those of the decoder
        and the prior, (K, N); `log_weights` are then without gradients of these.
    """

    first: Pass
    z: Tensor
    costs: Tensor
    log_weights: Tensor
    decoder_log_weights: Tensor | None = None


def draw(
    model: Model, inputs: Inputs, *, samples: int, detached: bool = False, separate: bool = False
) -> ImportanceSamples:
    """Encode N images once, sample `samples` codes of each, decode all of them at once.

    The first code of each image is the one that `model.run` samples with the same generator.
    detached: whether log q(z | x) is computed with detached parameters.
    separate: whether the weights are computed for the encoder and for the decoder separately.
    """
    generator = inputs.generator
    clean, x_in, h, context = model.encoder_pass(inputs)
    first = replace(model.latent(h, generator, True), context=context)
    codes: list[Code] = [first]
    if samples > 1:
        codes.append(model.latent(repeated(h, samples - 1), generator, True))
    z = torch.cat([code.z for code in codes])
    if detached:
        parts = torch.split(z, [len(code.z) for code in codes])
        log_q = [
            log_density(pathwise(code).detached(), part)
            for code, part in zip(codes, parts, strict=True)
        ]
    else:
        log_q = [log_density(posterior_of(code), code.z) for code in codes]
    around = tuple(repeated(part, samples) for part in context)
    images, log_posterior = repeated(clean, samples), torch.cat(log_q)
    decoder_log_weights = None
    with constant(model) if separate else nullcontext():
        weighed = importance_weights(model, model.prior_density, images, z, log_posterior, around)
    if separate:
        codes_alone = importance_weights(
            model, model.prior_density, images, z.detach(), log_posterior.detach(), around
        )
        decoder_log_weights = codes_alone.log_weight.view(samples, -1)
    # gradients of the weights must not be those of penalties
    output = (
        model.output(first.z, context) if detached or separate else weighed.output[: len(clean)]
    )
    return ImportanceSamples(
        Pass(clean, x_in, h, first, output, model, generator, inputs.y),
        z,
        weighed.cost.view(samples, -1),
        weighed.log_weight.view(samples, -1),
        decoder_log_weights,
    )


@contextmanager
def constant(model: Model) -> Iterator[None]:
    """Decoder, reconstruction and prior without gradients of their parameters."""
    parts = (model.decoder, model.reconstruction, model.prior)
    learned = [p for part in parts for p in part.parameters() if p.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


def importance_weights(
    model: Model,
    prior: PriorDensity,
    x: Tensor,
    z: Tensor,
    log_posterior: Tensor,
    context: tuple[Tensor, ...] = (),
) -> WeightedCodes:
    """Decode codes z (R, *code_shape) of images x (R, C, H, W), in the model's range.

    log_posterior: log q(z | x), (R,). context: of each code.
    """
    output = model.output(z, context)
    cost = model.reconstruction(output, x)
    log_likelihood = model.reconstruction.log_constant(x[0].numel()) - cost
    return WeightedCodes(output, cost, log_likelihood + log_density(prior, z) - log_posterior)


def pathwise(code: Code) -> Pathwise:
    """q(z | x) of the code of a `pathwise` latent."""
    posterior = posterior_of(code)
    assert isinstance(posterior, Pathwise), "the objective was checked for such a latent"
    return posterior


def log_density(of: PriorDensity | Posterior, z: Tensor) -> Tensor:
    """Log density of codes (R, *code_shape) in nats, (R,), in at least single precision."""
    return of.log_prob(at_least_float32(z).flatten(1)).sum(1)


def repeated(x: Tensor, samples: int) -> Tensor:
    """(N, ...) -> (samples * N, ...), repeated as a whole."""
    return x if samples == 1 else x.repeat(samples, *[1] * (x.dim() - 1))


def log_mean_exp(values: Tensor) -> Tensor:
    """`log` of the mean of exp(values) over the first dimension."""
    return values.logsumexp(0) - math.log(len(values))
