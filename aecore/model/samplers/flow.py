"""A normalising flow as sampler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.flows import Kind, Warp
from aecore.model.samplers.base import CodeSampler, Fitted, shaped
from aecore.model.samplers.networks import NetworkSampler, initialised, restored_network


@dataclass(frozen=True)
class Warped(Fitted):
    """mean + scale * z, where `warp` maps z to a standard normal. mean, scale: (D,)."""

    mean: Tensor
    scale: Tensor
    warp: Warp

    no_temperature = None

    @torch.no_grad()
    @override
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        mean, scale = self.mean.to(like), self.scale.to(like)
        normal = like.new_empty((n, len(mean))).normal_(generator=generator)
        return mean + scale * self.warp.to(like).inverse(temperature * normal)

    def log_prob(self, codes: Tensor) -> Tensor:
        """Log density of codes (N, D) in nats, (N,)."""
        normal, log_det = self.warp((codes - self.mean) / self.scale)
        square = (normal.square() + math.log(2 * math.pi)).sum(1)
        density: Tensor = -0.5 * square + log_det - self.scale.log().sum()
        return density


class FlowSampler(NetworkSampler, CodeSampler):
    """An autoregressive flow, trained on codes by maximum likelihood, with Adam.

    Sampling takes one pass per dimension of a code: too slow for the long codes of feature maps.

    kind, transforms, hidden: see `aecore.model.flows.Warp`.
    epochs, batch_size, lr: of its training; the learning rate falls to 0 along a cosine.
    images: maximum number of training images that are encoded.
    """

    name = "flow"

    kind: Kind
    transforms: PositiveInt
    hidden: Annotated[list[PositiveInt], Field(min_length=1)]

    @override
    def fit(self, codes: Tensor, seed: int) -> Warped:
        mean, spread = codes.mean(0), codes.std(0)
        scale = torch.where(spread > 0, spread, 1)
        fitted = Warped(mean, scale, initialised(partial(self._warp, codes.shape[1]), seed))
        loss = lambda batch, _: -fitted.log_prob(codes[batch]).mean()  # noqa: E731
        self.train(fitted.warp, loss, len(codes), seed)
        return fitted

    def _warp(self, dim: int) -> Warp:
        return Warp(self.kind, dim, transforms=self.transforms, hidden=self.hidden)

    @override
    def restore(self, tensors: Mapping[str, Tensor], dim: int) -> Warped:
        moments = {"mean", "scale"}
        mean, scale = shaped({k: tensors[k] for k in moments}, mean=(dim,), scale=(dim,))
        weights = {k: v for k, v in tensors.items() if k not in moments}
        return Warped(mean, scale, restored_network(partial(self._warp, dim), weights, "warp"))
