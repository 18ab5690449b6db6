"""What every prior promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.model.codes import Code
from aecore.model.passes import LatentProtocol, Model
from aecore.types import ImageShape, Shape

if TYPE_CHECKING:
    from aecore.data.split import Split


class PriorDensity(ABC):
    """p(z), of variational latents; densities come in parts, at best those of the posteriors.

    no_temperature: why draws have no temperature; None where they are made of Gaussian ones.
    """

    no_temperature: str | None = "this prior draws from no Gaussian"

    def kl(self, code: Code) -> Tensor:
        """KL(q(z | x) || p(z)) of each part in nats, (N, parts).

        Unless there is a closed form it is estimated in one part from the draw that the code is:
        log q(z | x) - log p(z), which is the KL in the mean over draws and may be negative. Of a
        code without randomness that is the log ratio at the mean, and no estimate of the KL.
        """
        assert code.posterior is not None, "only variational latents have a KL"
        z = code.z.to(torch.promote_types(code.z.dtype, torch.float32))
        own, here = code.posterior.log_prob(z), self.log_prob(z)
        return own.sum(-1, keepdim=True) - here.sum(-1, keepdim=True)

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each part in nats, (N, parts)."""

    @abstractmethod
    def sample(
        self,
        n: int,
        shape: Shape,
        like: Tensor,
        generator: Generator | None,
        temperature: float = 1.0,
    ) -> Tensor:
        """`n` codes, (n, *shape), on the device and of the type of `like`.

        temperature: scales the standard deviations of the Gaussian draws that they are made of;
            1 for p(z) itself, and where there is `no_temperature`.
        No gradient leads through them to a prior that is learned: it learns by its densities.
        """


class Prior(nn.Module, ABC):
    """The word that says what p(z) is; it holds what of that is learned.

    factorised: whether the parts of a code that are independent in its posterior, such as the
        dimensions of a Gaussian, are independent in p(z) as well.
    """

    factorised: bool = False

    def attach(self, latent: LatentProtocol, code_shape: Shape, image_shape: ImageShape) -> Prior:
        """The word for codes (*code_shape) of that latent, as a rule itself, ready to be used.

        Raises UserError for a latent that cannot have this prior.
        """
        return self

    def check(self, model: Model) -> None:
        """Raise UserError where this prior and the other words cannot go together."""
        return None

    def begin(self, model: Model, training: Split, seed: int) -> None:
        """Told before training which images there are; may start from some, drawn by the seed.

        model: that it is a part of.
        """
        return None

    @abstractmethod
    def density(self, model: Model) -> PriorDensity:
        """The prior as it is now; of some priors the model makes a part."""


class Standalone(Prior, PriorDensity):
    """A prior that is the same whatever the rest of the model does."""

    @override
    def density(self, model: Model) -> PriorDensity:
        return self


class Closed(Standalone):
    """A prior to which posteriors may know their KL in closed form, part by part."""

    factorised = True

    def kl(self, code: Code) -> Tensor:
        """What the posterior knows, of each of its parts; else estimated."""
        assert code.posterior is not None, "only variational latents have a KL"
        known = code.posterior.kl_standard()
        return super().kl(code) if known is None else known
