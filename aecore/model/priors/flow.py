"""A prior by a normalising flow from N(0, I)."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.flows import Kind, Warp
from aecore.model.networks.base import flat
from aecore.model.passes import Model
from aecore.model.priors.base import Prior, Standalone
from aecore.model.priors.checks import check_learned
from aecore.types import Shape


class FlowPrior(Standalone):
    """log p(z) = log N(f(z); 0, I) + log |det df/dz|, with f a learned autoregressive flow.

    Papamakarios et al. 2017 (MAF); as a prior Chen et al. 2017 (variational lossy autoencoder).
    Initially f is the identity and p(z) is N(0, I). Sampling takes one pass per dimension of z.

    kind, transforms, hidden: see `aecore.model.flows.Warp`.
    """

    no_temperature = None

    kind: Kind
    transforms: PositiveInt
    hidden: Annotated[list[PositiveInt], Field(min_length=1)]

    @override
    def attach(self, model: Model) -> Prior:
        dim = flat(model.code_shape)
        self.warp = Warp(self.kind, dim, transforms=self.transforms, hidden=self.hidden)
        return self

    @override
    def check(self, model: Model) -> None:
        check_learned(model, "flow")

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of all dimensions jointly, (N, 1)."""
        normal, log_det = self.warp(z)
        square = normal.square() + math.log(2 * math.pi)
        log_prob: Tensor = -0.5 * square.sum(-1, keepdim=True) + log_det.unsqueeze(-1)
        return log_prob

    @torch.no_grad()
    @override
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        dtype = torch.promote_types(like.dtype, torch.float32)
        normal = like.new_empty(shape, dtype=dtype).normal_(generator=generator).flatten(1)
        return self.warp.inverse(temperature * normal).to(like).view(shape)
