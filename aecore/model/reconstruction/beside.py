"""Reconstruction terms beside the first: costs of the image that the first one decodes to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from aecore.data.split import Split
from aecore.model.critics import Adversary
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty
from aecore.model.reconstruction.base import Reconstruction

_SUFFIX = "_loss"  # of names of terms: `ssim` is a metric of every model


class ImageTerm(Penalty):
    """The cost of another reconstruction loss, of the image of the model's own.

    term: a loss that is no likelihood, of which a model has one.
    """

    term: Reconstruction

    @override
    def forward(self, p: Pass) -> Tensor:
        cost = self.term.between(p.model.reconstruction.image(p.output), p.x)
        return sum(self.term.costs(p).values(), cost)

    @override
    def path(self, name: str) -> str:
        return f"reconstruction.{name.removesuffix(_SUFFIX)}"

    @override
    def connect(self, model: Model) -> None:
        with torch.random.fork_rng(devices=[]):  # the model is that without this term
            self.term.connect(model)

    @override
    def begin(self, model: Model, training: Split, seed: int) -> None:
        self.term.begin(model, training, seed)

    @override
    def check(self, model: Model) -> None:
        self.term.check(model)


class AdversarialTerm(ImageTerm, Adversary):
    """An image term with a critic."""

    @property
    def critic(self) -> nn.Module:  # type: ignore[override]
        """That of the loss."""
        return self._adversary.critic

    @property
    def critic_lr(self) -> float:  # type: ignore[override]
        """Its learning rate."""
        return self._adversary.critic_lr

    @property
    def _adversary(self) -> Adversary:
        assert isinstance(self.term, Adversary)
        return self.term

    @override
    def critic_loss(self, p: Pass) -> Tensor:
        return self._adversary.critic_loss(p)


def term_name(name: str) -> str:
    """The name of the term of an option beside the first."""
    return f"{name}{_SUFFIX}"


def image_term(term: Reconstruction) -> ImageTerm:
    """A reconstruction loss as a term beside another."""
    return (AdversarialTerm if isinstance(term, Adversary) else ImageTerm)(term=term)
