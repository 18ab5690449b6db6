"""Codes of several categorical variables, sampled by the Gumbel-softmax."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, PositiveFloat, PositiveInt
from aecore.model.codes import Code, at_least_float32
from aecore.model.latents.base import Latent
from aecore.model.latents.quantised import straight_through
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.model.priors.uniform import UniformCategories
from aecore.types import Shape


@dataclass(frozen=True, slots=True)
class Categories:
    """q(z | x): independent categorical variables; z holds a one-hot vector for each.

    logits: (N, variables, categories), unnormalised.
    temperature: of relaxed draws, None for draws of the distribution itself.
    hard: whether relaxed draws are rounded to one-hots, with the gradient of the relaxed ones.
    """

    logits: Tensor
    temperature: float | None = None
    hard: bool = False

    @property
    def log_probs(self) -> Tensor:
        """Normalised logits, (N, variables, categories)."""
        return self.logits.log_softmax(-1)

    @property
    def mean(self) -> Tensor:
        """The probabilities, (N, variables * categories)."""
        return self.logits.softmax(-1).flatten(1)

    @property
    def variance(self) -> Tensor:
        """`p` (1 - p), (N, variables * categories)."""
        return self.mean * (1 - self.mean)

    def sample(self, generator: Generator | None) -> Tensor:
        """softmax((logits + Gumbel noise) / temperature), (N, variables * categories).

        Jang et al. 2017, eq. 2; Maddison et al. 2017. Its argmax is a draw of q whatever
        the temperature (the Gumbel-max trick).
        """
        exponential = torch.empty_like(self.logits).exponential_(generator=generator)
        scores = self.logits - exponential.clamp_min(torch.finfo(exponential.dtype).tiny).log()
        if self.temperature is None:
            return one_hot(scores).flatten(1)
        soft = (scores / self.temperature).softmax(-1)
        return (straight_through(one_hot(soft), soft) if self.hard else soft).flatten(1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log probability of each variable in nats, (N, variables); linear between one-hots.

        (M, 1, variables * categories) codes give (M, N, variables).
        """
        return (z.reshape(*z.shape[:-1], *self.logits.shape[1:]) * self.log_probs).sum(-1)

    def kl_standard(self) -> Tensor:
        """KL(q || uniform) of each variable in nats, (N, variables)."""
        log_probs = self.log_probs
        return (log_probs.exp() * log_probs).sum(-1) + math.log(log_probs.shape[-1])


def one_hot(scores: Tensor) -> Tensor:
    """1 at the largest of the last dimension, 0 elsewhere."""
    return torch.zeros_like(scores).scatter(-1, scores.argmax(-1, keepdim=True), 1.0)


class WithCategories(Latent):
    """A latent with categorical variables, whose options these are; see `Categorical`."""

    variational = True
    relaxed = True

    variables: PositiveInt
    categories: Annotated[int, Field(ge=2)]
    temperature: PositiveFloat
    temperature_end: PositiveFloat
    epochs: NonNegativeFloat
    hard: bool


class Categorical(WithCategories):
    """`variables` categorical variables with `categories` each, as concatenated one-hot vectors.

    In training z is relaxed: a convex combination of the one-hot vectors, close to one of them at
    a low temperature, which decays exponentially from `temperature` to `temperature_end` over
    `epochs`. hard: z is the nearest one-hot vector, with the gradient of the relaxed one.

    In evaluation samples are one-hot vectors, so that log p(x | z) minus the KL is a bound of
    log p(x). The mean code holds the probabilities, or with `hard` the most probable one-hots.
    """

    shared_codebook = False

    def __post_init__(self) -> None:
        self.codebook_size = self.categories
        self.current_temperature = self.temperature_end

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        self.project = nn.Sequential(
            nn.Flatten(),
            Dense(flat(feature_shape), self.variables * self.categories),
            nn.Unflatten(1, (self.variables, self.categories)),
        )
        return (self.variables * self.categories,)

    @override
    def set_epoch(self, epoch: float) -> None:
        share = min(1.0, epoch / self.epochs) if self.epochs > 0 else 1.0
        self.current_temperature = self.temperature ** (1 - share) * self.temperature_end**share

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        logits = at_least_float32(self.project(h))
        temperature = self.current_temperature if self.training else None
        posterior = Categories(logits, temperature, self.hard)
        mean = posterior.mean
        if self.hard:
            mean = straight_through(one_hot(logits).flatten(1), mean)
        z = posterior.sample(generator) if sample else mean
        indices = z.detach().view(logits.shape).argmax(-1)
        return Code(z, mean, posterior, indices=indices)

    def nearest(self, z: Tensor) -> Tensor:
        """Points of the simplex: no value is negative, and each variable sums to 1."""
        positive = z.reshape(-1, self.variables, self.categories).clamp_min(0)
        return F.normalize(positive, p=1, dim=-1).flatten(1)

    def decode_indices(self, indices: Tensor) -> Tensor:
        """One-hots."""
        return F.one_hot(indices, self.categories).flatten(1).to(torch.get_default_dtype())

    @override
    def standard_prior(self) -> UniformCategories:
        return UniformCategories(self.variables, self.categories)
