"""The base classes of priors."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Generator, Tensor
from typing_extensions import override

from aecore.model.codes import Code, at_least_float32
from aecore.model.module import ModelPart
from aecore.model.passes import Model
from aecore.types import Shape


class PriorDensity(ABC):
    """p(z) for variational latents; densities are computed per part, if possible as posteriors do.

    no_temperature: why samples have no temperature; None if they are computed from Gaussian ones.
    """

    no_temperature: str | None = "this prior draws from no Gaussian"

    def kl(self, code: Code) -> Tensor:
        """KL(q(z | x) || p(z)) of each part in nats, (N, parts).

        Without a closed form it is estimated from the sampled code, as one part:
        log q(z | x) - log p(z), whose expectation is the KL and which may be negative. For a mean
        code this is the log ratio at the mean, not an estimate of the KL.
        """
        assert code.posterior is not None, "only variational latents have a KL"
        z = at_least_float32(code.z).flatten(1)
        posterior, prior = code.posterior.log_prob(z), self.log_prob(z)
        return posterior.sum(-1, keepdim=True) - prior.sum(-1, keepdim=True)

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each part of flattened codes (N, dim) in nats, (N, parts)."""

    @abstractmethod
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        """Codes of that shape, (n, *code_shape), on the device and of the type of `like`.

        temperature: scales the standard deviations of the Gaussian samples these come from;
            1 for p(z) itself, and if there is `no_temperature`.
        Samples have no gradient for a learned prior, which is trained by its densities.
        """


class Prior(ModelPart, ABC, options=False):
    """The prior p(z) of a model, with its learned parameters.

    factorised: whether parts of a code that are independent in the posterior, such as the
        dimensions of a Gaussian, are also independent in p(z).
    encodes: whether it is computed by the encoder of the model.
    """

    factorised: bool = False
    encodes: bool = False

    def attach(self, model: Model) -> Prior:
        """Create the parameters for the codes of the model; returns its prior, by default itself.

        model: complete but for the prior, objective and penalties.
        """
        return self

    @abstractmethod
    def density(self, model: Model) -> PriorDensity:
        """The density with the current weights, which may depend on the model."""


class Standalone(Prior, PriorDensity, options=False):
    """A prior that does not depend on the rest of the model."""

    @override
    def density(self, model: Model) -> PriorDensity:
        return self


class Closed(Standalone, options=False):
    """A prior for which posteriors may have a closed form of the KL of each part."""

    factorised = True

    def kl(self, code: Code) -> Tensor:
        """The closed form of the posterior for each part, else the estimate."""
        assert code.posterior is not None, "only variational latents have a KL"
        known = code.posterior.kl_standard()
        return super().kl(code) if known is None else known
