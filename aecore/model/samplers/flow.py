"""A normalising flow as sampler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import LearningRate, PositiveInt, component
from aecore.model.flows import Kind, Warp
from aecore.model.limits import limited_to
from aecore.model.samplers.base import Fitted, Sampler, shaped


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

    @override
    def tensors(self) -> dict[str, Tensor]:
        weights = self.warp.state_dict(prefix="warp.")
        return {**super().tensors(), **{name: value.cpu() for name, value in weights.items()}}


class FlowSampler(Sampler):
    """An autoregressive flow, trained on codes by maximum likelihood, with Adam.

    Sampling takes one pass per dimension of a code: too slow for the long codes of feature maps.

    kind, transforms, hidden: see `aecore.model.flows.Warp`.
    epochs, batch_size, lr: of its training; the learning rate falls to 0 along a cosine.
    images: maximum number of training images that are encoded.
    """

    name = "flow"

    @component
    def __init__(
        self,
        *,
        kind: Kind,
        transforms: PositiveInt,
        hidden: Annotated[list[PositiveInt], Field(min_length=1)],
        epochs: PositiveInt,
        batch_size: PositiveInt,
        lr: LearningRate,
        images: PositiveInt,
    ) -> None:
        self.kind: Kind = kind
        self.transforms, self.hidden = transforms, hidden
        self.epochs, self.batch_size, self.lr = epochs, batch_size, lr
        self.images = images

    @override
    def fit(self, codes: Tensor, seed: int) -> Warped:
        mean, spread = codes.mean(0), codes.std(0)
        scale = torch.where(spread > 0, spread, 1)
        with torch.random.fork_rng(
            devices=[]
        ):  # the networks are initialised by PyTorch's generator
            torch.manual_seed(seed)
            fitted = Warped(mean, scale, self._warp(codes.shape[1]))
        self._train(fitted, codes, Generator().manual_seed(seed))
        fitted.warp.requires_grad_(False)
        return fitted

    def _train(self, fitted: Warped, codes: Tensor, generator: Generator) -> None:
        optimizer = torch.optim.Adam(fitted.warp.parameters(), lr=self.lr)
        steps = self.epochs * -(-len(codes) // self.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(self.epochs):
            order = torch.randperm(len(codes), generator=generator)
            for batch in torch.split(order, self.batch_size):
                optimizer.zero_grad()
                (-fitted.log_prob(codes[batch]).mean()).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()

    def _warp(self, dim: int) -> Warp:
        return Warp(self.kind, dim, transforms=self.transforms, hidden=self.hidden)

    @override
    def restore(self, tensors: Mapping[str, Tensor], dim: int) -> Warped:
        own = {"mean", "scale"}
        mean, scale = shaped({k: tensors[k] for k in own}, mean=(dim,), scale=(dim,))
        weights = {k.removeprefix("warp."): v for k, v in tensors.items() if k not in own}
        with torch.random.fork_rng(devices=[]), limited_to(tensors.values()):
            warp = self._warp(dim).requires_grad_(False)
        expected = {k: (v.shape, v.dtype) for k, v in warp.state_dict().items()}
        if {k: (v.shape, v.dtype) for k, v in weights.items()} != expected:
            raise ValueError("another flow")
        warp.load_state_dict(weights)
        return Warped(mean, scale, warp)
