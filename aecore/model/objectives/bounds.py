"""Bounds of log p(x) from several codes per image, tighter than the ELBO."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt, Probability, component
from aecore.errors import UserError
from aecore.model.objectives.base import Objective, Terms, critic_losses, term_costs
from aecore.model.objectives.importance import ImportanceSamples, draw, log_mean_exp
from aecore.model.passes import Inputs, Model


class Bound(Objective, options=False):
    """The negative of a lower bound of log p(x), in nats, from K samples of the code of each image.

    Computed from log weights log w_k = log p(x | z_k) + log p(z_k) - log q(z_k | x). The loss also
    contains penalties, computed on the first sample of each image, and the costs of the latent.
    `reconstruction`, the mean over all samples, is logged but has a weight of 0.

    name: of the option. term: the name of the bound among the terms.
    samples: number of codes per image.
    detached, separate: how the weights are computed, see `draw`.
    """

    holds_prior = True
    detached: bool = False
    separate: bool = False
    name: str
    term: str
    samples: int

    @abstractmethod
    def bound(self, draws: ImportanceSamples) -> Tensor:
        """The lower bound of log p(x) of each image, (N,)."""

    @override
    def __call__(self, model: Model, inputs: Inputs, weights: Mapping[str, float]) -> Terms:
        draws = draw(
            model, inputs, samples=self.samples, detached=self.detached, separate=self.separate
        )
        values, factors = term_costs(draws.first, weights)
        return Terms(
            {"reconstruction": draws.costs.mean(), self.term: -self.bound(draws).mean(), **values},
            {"reconstruction": 0.0, self.term: 1.0, **factors},
            critic_losses(draws.first, weights),
        )

    @override
    def check(self, model: Model) -> None:
        if not model.latent.variational:
            raise UserError(
                f"objective={self.name}: this latent has no posterior to sample codes from",
                "use latent=gaussian, or objective=elbo",
            )
        if model.latent.relaxed:
            raise UserError(
                f"objective={self.name}: in training this latent samples relaxations, which have "
                "no importance weights",
                "use latent=gaussian, or objective=elbo",
            )
        if not model.reconstruction.likelihood:
            raise UserError(
                f"objective={self.name}: this reconstruction is no likelihood, so there is "
                "no log p(x) to bound",
                "use reconstruction=bernoulli or reconstruction=gaussian",
            )
        if "reconstruction" in model.weights:
            raise UserError(
                f"objective={self.name}: the bound counts the reconstruction once, unweighted",
                "leave out reconstruction.TERM.weight, or use objective=elbo",
            )
        for name, penalty in model.penalties.items():
            if penalty.holds_prior:
                raise UserError(
                    f"objective={self.name}, penalty={name}: the bound contains the KL already, "
                    "which would count twice",
                    "use penalty=none",
                )


class Iwae(Bound):
    """log (1/K sum_k w_k), the importance weighted bound (Burda et al. 2016).

    K = 1 is the ELBO with a KL estimated from the sample; its expectation never decreases with K.
    The gradient of each log w_k is weighted by the share of w_k in the sum.
    """

    name = term = "iwae"

    samples: PositiveInt

    @override
    def bound(self, draws: ImportanceSamples) -> Tensor:
        return log_mean_exp(draws.log_weights)


class Miwae(Bound):
    """The mean of M importance weighted bounds of K samples each (Rainforth et al. 2018, MIWAE).

    Its expectation is that of K samples; the gradient of the encoder, whose signal-to-noise ratio
    decreases with K, is averaged over M times as many.
    """

    name = term = "miwae"

    @component
    def __init__(self, *, samples: PositiveInt, bounds: PositiveInt) -> None:
        """samples: K. bounds: M."""
        self.within, self.samples = samples, samples * bounds

    @override
    def bound(self, draws: ImportanceSamples) -> Tensor:
        each = draws.log_weights.view(self.within, -1, draws.log_weights.shape[1])
        return log_mean_exp(each).mean(0)


class Piwae(Miwae):
    """The bound of all M K samples, whose gradient of the encoder is that of `miwae`.

    Rainforth et al. 2018 (PIWAE): decoder and prior learn by the tighter bound, the encoder by the
    one with the clearer gradient. Takes a second pass of the decoder.
    """

    name = term = "piwae"
    separate = True

    @override
    def bound(self, draws: ImportanceSamples) -> Tensor:
        assert draws.decoder_log_weights is not None
        encoder = super().bound(draws)
        return log_mean_exp(draws.decoder_log_weights) + encoder - encoder.detach()

    @override
    def check(self, model: Model) -> None:
        super().check(model)
        if model.prior.encodes:
            raise UserError(
                "objective=piwae: this prior is made by the encoder, which learns by another bound "
                "than the prior",
                "use prior=standard or prior=flow, or objective=iwae",
            )


class Ciwae(Bound):
    """beta times the ELBO plus 1 - beta times the importance weighted bound, of the same K samples.

    Rainforth et al. 2018 (CIWAE). beta = 1 is the ELBO from K samples, beta = 0 is `iwae`.
    """

    name = term = "ciwae"

    samples: PositiveInt
    beta: Probability

    @override
    def bound(self, draws: ImportanceSamples) -> Tensor:
        log_w = draws.log_weights
        return self.beta * log_w.mean(0) + (1 - self.beta) * log_mean_exp(log_w)


class Dreg(Bound):
    """The importance weighted bound with the doubly reparametrised gradient (Tucker et al. 2019).

    The value and the gradient of the decoder (and the prior) are those of `iwae`. The encoder's is
    sum_k s_k^2 d log w_k / dz_k dz_k / dphi with s_k the share of w_k: of the same
    expectation but a lower variance, as it has no score function and is 0 if q(z | x) is exact.
    """

    name, term = "dreg", "iwae"
    detached = True

    samples: PositiveInt

    @override
    def bound(self, draws: ImportanceSamples) -> Tensor:
        log_w, z = draws.log_weights, draws.z
        share = log_w.detach().softmax(0)
        if z.requires_grad:
            again = share.reshape(-1, *[1] * (z.dim() - 1))
            # the second factor of s_k^2
            z.register_hook(lambda g: g * again.to(g))  # type: ignore[no-untyped-call]
        weighted = (share * log_w).sum(0)
        return log_mean_exp(log_w).detach() + weighted - weighted.detach()

    @override
    def check(self, model: Model) -> None:
        super().check(model)
        if not model.latent.pathwise:
            raise UserError(
                "objective=dreg: the density of this latent's posterior is not differentiable "
                "along a sample",
                "use latent=gaussian or latent=hypersphere, or objective=iwae",
            )
