"""The base class of objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from aecore.config.component import Component
from aecore.errors import UserError
from aecore.model.passes import Inputs, Model, Pass

_COMMON_METRICS = ("mse", "psnr", "ssim", "elbo")  # logged next to the terms as `test/...`


@dataclass(frozen=True, slots=True)
class Terms:
    """The named terms of a loss, each a mean over images of a sum over the image, unweighted.

    values: scalars, `reconstruction` first. weights: of each in the loss.
    critics: losses of the critics, scalars; not part of `loss`.
    """

    values: Mapping[str, Tensor]
    weights: Mapping[str, float]
    critics: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def loss(self) -> Tensor:
        """The weighted sum, a scalar."""
        parts = [
            value if self.weights[name] == 1 else self.weights[name] * value
            for name, value in self.values.items()
            if self.weights[name] != 0
        ]
        return torch.stack(parts).sum() if len(parts) > 1 else parts[0]

    @property
    def logged(self) -> dict[str, Tensor]:
        """All values that are logged in addition to the loss, each a scalar."""
        return {**self.values, **self.critics}


class Objective(Component, ABC, options=False):
    """A pure function of (parameters, batch, generator, weights).

    holds_prior: whether it contains the KL to the prior, as `penalty=kl` does.
    term: the name of its term, None if it has only `reconstruction`.
    """

    holds_prior: bool = False
    term: str | None = None

    @abstractmethod
    def __call__(self, model: Model, inputs: Inputs, weights: Mapping[str, float]) -> Terms:
        """weights: of the penalties that have started, and of the reconstruction unless it is 1."""

    def check(self, model: Model) -> None:
        """Raise UserError if this objective is incompatible with the other components."""
        return None


def term_costs(p: Pass, weights: Mapping[str, float]) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The costs and penalties of a pass, means over images, and the weight of each.

    The costs of latent and reconstruction have a weight of 1.
    Penalties without a weight have not started: they are not computed, and cost 0.
    """
    waiting = p.x.new_zeros(1)
    costs = {**p.code.costs, **p.model.latent.costs(p), **p.model.reconstruction.costs(p)}
    penalties = {
        name: penalty(p) if name in weights else waiting
        for name, penalty in p.model.penalties.items()
    }
    values = {name: cost.mean() for name, cost in (costs | penalties).items()}
    return values, dict.fromkeys(costs, 1.0) | {name: weights.get(name, 0.0) for name in penalties}


def critic_losses(p: Pass, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """The loss of each critic of the model in this pass, a mean over images.

    0 where it is of a penalty without a weight, which has not started.
    """
    started = {*weights, "reconstruction"}
    return {
        critic_term(name): one.critic_loss(p).mean() if name in started else p.x.new_zeros(())
        for name, one in p.model.adversaries.items()
    }


def critic_term(name: str) -> str:
    """The name of the loss of the critic of this term."""
    return f"{name}_critic"


def weighted_term(name: str) -> str:
    """The name of a penalty times its weight."""
    return f"{name}_weighted"


def own_terms(model: Model) -> dict[str, str]:
    """The names of all terms except the penalties, with a description of each."""
    objective = model.objective.term
    return {
        "reconstruction": "a term of every loss",
        **({} if objective is None else {objective: "the term of the objective"}),
        **dict.fromkeys(model.latent.cost_names, "a cost of the latent"),
        **dict.fromkeys(model.reconstruction.cost_names, "a cost of the reconstruction"),
        **{critic_term(name): f"the critic of {name}" for name in model.adversaries},
    }


def check_names(model: Model) -> None:
    """Raise UserError if a penalty has the name of another logged value."""
    taken = {"loss": "the sum of all terms", "running_loss": "the loss in training"}
    taken |= own_terms(model)
    paths = {name: penalty.path(name) for name, penalty in model.penalties.items()}
    taken |= {weighted_term(name): f"the weighted {path}" for name, path in paths.items()}
    taken |= dict.fromkeys(_COMMON_METRICS, "a metric of every model")
    if model.latent.variational:
        taken["kl"] = "the KL to the prior"
    for name, penalty in model.penalties.items():
        if name in taken and not (name == "kl" and penalty.is_kl):
            raise UserError(f"{paths[name]}: this name is taken by {taken[name]}", "choose another")
