"""The sentence: network x latent x noise x penalty x reconstruction, joined into one module."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor, nn

from aecore.data.pixels import check_shape
from aecore.errors import UserError
from aecore.model.codes import Code
from aecore.model.conditioning import Conditioning, need_labels
from aecore.model.critics import Adversary
from aecore.model.latents.base import Latent
from aecore.model.networks.base import Network
from aecore.model.noise.base import Noise
from aecore.model.noise.noises import NoNoise
from aecore.model.objectives.base import Objective, Terms, check_names
from aecore.model.objectives.elbo import Elbo
from aecore.model.passes import EncoderPass, Pass
from aecore.model.penalties.base import Penalty, by_name
from aecore.model.penalties.weight import Weight, Weighted, weighted_penalties
from aecore.model.priors.base import Prior, PriorDensity
from aecore.model.priors.standard import Standard
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.errors import MSE
from aecore.model.sample_codes import cycle_classes, sample_codes
from aecore.model.slots import check_words, component_configs
from aecore.types import ImageShape

if TYPE_CHECKING:
    from aecore.model.samplers.base import Fitted


class Autoencoder(nn.Module):
    """Any autoencoder that the words can say, for images of one shape.

    Images come in and go out as pixels in [0, 1], (N, C, H, W); inside they are
    (pixels - shift) / scale, the model's own range, with shift and scale part of the weights.

    image_shape: (C, H, W); a table of D columns is (1, 1, D).
    noise, reconstruction, prior, objective: where they are not said: none, the squared error, the
        latent's own prior, the ELBO (with a deterministic code: the plain loss).
    penalties: each under a name of its own. weights: by these names, numbers or `Weight`s; what is
        not named counts 1, or as its word says (`Weighted`).
    shift, scale: (C, 1, 1) or (1, 1, D) statistics of standardised data; None keeps [0, 1].
    classes: how many there are, of a class-conditional model; else
        None. Then labels `y`, (N,) int64, must be given wherever an argument is called so; a
        model that is not conditional has no use for them.
    Raises UserError where two words cannot go together or the images are too small.

    sampler: draws codes in the prior's place; fitted after training, no part of the weights.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        *,
        image_shape: ImageShape,
        network: Network,
        latent: Latent,
        noise: Noise | None = None,
        reconstruction: Reconstruction | None = None,
        penalties: Mapping[str, Penalty | Weighted] | None = None,
        weights: Mapping[str, Weight | float] | None = None,
        prior: Prior | None = None,
        objective: Objective | None = None,
        shift: Tensor | None = None,
        scale: Tensor | None = None,
        classes: int | None = None,
    ) -> None:
        super().__init__()
        words: dict[str, Any] = {
            "network": network,
            "latent": latent,
            "noise": NoNoise() if noise is None else noise,
            "reconstruction": MSE() if reconstruction is None else reconstruction,
            "prior": Standard() if prior is None else prior,
            "objective": Elbo() if objective is None else objective,
        }
        weighted = weighted_penalties(penalties or {}, weights or {})
        check_words(words, weighted)
        self.nodes = component_configs(words, weighted)  # how all of it is said again
        self.image_shape = image_shape = check_shape(image_shape)
        self.output_activation = network.output_activation
        self.needs_context = network.needs_context
        self.standardised = shift is not None
        self.register_buffer("shift", torch.zeros(1, 1, 1) if shift is None else shift)
        self.register_buffer("scale", torch.ones(1, 1, 1) if scale is None else scale)
        self.condition = None if classes is None else Conditioning(classes, image_shape)
        self.encoder = network.encoder(self.encoder_shape)
        # copies: a word may be said again in another sentence, with weights of its own
        self.latent = deepcopy(latent)
        self.code_shape = self.latent.attach(network.feature_shape(self.encoder_shape))
        condition = self.condition
        decoder_shape = (
            self.code_shape if condition is None else condition.code_shape(self.code_shape)
        )
        self.decoder = network.decoder(decoder_shape, image_shape)
        self.noise: Noise = words["noise"]
        self.reconstruction: Reconstruction = deepcopy(words["reconstruction"])
        self.penalty_modules = by_name({n: deepcopy(t.penalty) for n, t in weighted.items()})
        self.weights = {name: term.weight for name, term in weighted.items()}
        rule = deepcopy(words["prior"])
        self.prior: Prior = rule.attach(self.latent, self.code_shape, image_shape)
        self.sampler: Fitted | None = None
        self.objective: Objective = words["objective"]
        for adversary in self.adversaries.values():
            adversary.attach_critic(self)
        self.to(memory_format=torch.channels_last)  # a third faster convolutions
        check_names(self)
        self.latent.check()
        self.reconstruction.check(self)
        self.objective.check(self)
        self.prior.check(self)
        for penalty in self.penalties.values():
            penalty.check(self)

    @property
    def penalties(self) -> dict[str, Penalty]:
        """The penalties by the names of their terms."""
        return {n: p for n, p in self.penalty_modules.items() if isinstance(p, Penalty)}

    @property
    def classes(self) -> int | None:
        """How many classes a conditional model tells apart, None for others."""
        return None if self.condition is None else self.condition.classes

    @property
    def encoder_shape(self) -> ImageShape:
        """Shape of the encoder's input: an image, with a class plane if class-conditional."""
        return self.image_shape if self.condition is None else self.condition.image_shape

    @property
    def prior_density(self) -> PriorDensity:
        """p(z) as it stands: one that is made by the encoder moves with it."""
        return self.prior.density(self)

    @property
    def adversaries(self) -> dict[str, Adversary]:
        """The words that own a critic, by the names of their terms."""
        terms = {"reconstruction": self.reconstruction, **self.penalties}
        return {name: term for name, term in terms.items() if isinstance(term, Adversary)}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What an optimizer trains: the model's weights, then those of each critic at its rate."""
        adversaries = self.adversaries.values()
        owned = {id(p) for adversary in adversaries for p in adversary.critic.parameters()}
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.parameters() if p.requires_grad and id(p) not in owned]}
        ]
        groups += [{"params": [*a.critic.parameters()], "lr": a.critic_lr} for a in adversaries]
        return groups

    @property
    def can_sample(self) -> bool:
        """Whether new images can be drawn, from the prior or by a sampler."""
        return self.draws_prior or (self.sampler is not None and not self.needs_context)

    @property
    def draws_prior(self) -> bool:
        """Whether draws of the prior make images."""
        drawn = self.latent.variational or any(p.matches_prior for p in self.penalties.values())
        return drawn and not self.needs_context

    def run(
        self,
        x: Tensor,
        generator: Generator | None,
        *,
        noisy: bool,
        sample: bool,
        y: Tensor | None = None,
    ) -> Pass:
        """One trip of pixels (N, C, H, W): noise where `noisy`, a drawn code where `sample`."""
        clean, x_in, h, context = self.encoder_pass(x, generator, noisy=noisy, y=y)
        code = replace(self.latent(h, generator, sample), context=context)
        return Pass(clean, x_in, h, code, self.output(code.z, context), self, generator, y)

    def encoder_pass(
        self, x: Tensor, generator: Generator | None, *, noisy: bool, y: Tensor | None = None
    ) -> EncoderPass:
        """The first half of a trip: pixels (N, C, H, W) as far as the encoder's features."""
        clean = self.reconstruction.target(self.normalise(x), generator)
        x_in = self.noise(clean, generator, self._span()) if noisy else clean
        return EncoderPass(clean, x_in, *self.features(x_in, y))

    def features(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the encoder makes of x in the model's range: features, and what passes by codes."""
        found = self.encoder(self.encoder_input(x, y))
        h, context = found if self.needs_context else (found, ())
        return h, (*context, *self.label_context(y))

    def encoder_input(self, x: Tensor, y: Tensor | None) -> Tensor:
        """`x` in the model's range as the encoder is given it, (N, *encoder_shape)."""
        return x if self.condition is None else self.condition.beside_image(x, need_labels(y))

    def label_context(self, y: Tensor | None) -> tuple[Tensor, ...]:
        """The end of each context: the labels, nothing where the model is not conditional."""
        return () if self.condition is None else (need_labels(y),)

    def output(self, z: Tensor, context: tuple[Tensor, ...] = ()) -> Tensor:
        """The decoder's raw output for codes (N, *code_shape), (N, C, H, W).

        context: what passes by the code, see `decode`.
        """
        if self.condition is not None:
            context, y = context[:-1], need_labels(context[-1] if context else None)
            z = self.condition.beside_code(z, y)
        output: Tensor = self.decoder(z, context) if self.needs_context else self.decoder(z)
        return output

    def terms(
        self,
        x: Tensor,
        generator: Generator | None,
        *,
        epoch: float,
        noisy: bool,
        y: Tensor | None = None,
    ) -> Terms:
        """The objective on pixels (N, C, H, W), penalties weighted as after `epoch` epochs."""
        weights = {name: weight.at(epoch) for name, weight in self.weights.items()}
        self.latent.set_epoch(epoch)
        for penalty in self.penalties.values():
            penalty.set_epoch(epoch)
        return self.objective(self, x, generator, weights, noisy, y)

    def encode(
        self, x: Tensor, generator: Generator | None = None, y: Tensor | None = None
    ) -> Code:
        """Codes of clean pixels (N, C, H, W): z is the mean, or a draw from a generator."""
        h, context = self.features(self.reconstruction.expected(self.normalise(x)), y)
        code: Code = self.latent(h, generator, generator is not None)
        return replace(code, context=context)

    def decode(self, z: Tensor, context: tuple[Tensor, ...] = ()) -> Tensor:
        """Codes (N, *code_shape) -> mean images as pixels, (N, C, H, W), not clamped.

        context: that of the codes' images; where it is the class alone, `label_context(y)`. Raises
        UserError where the model needs it and it is not given.
        """
        passing = len(context) - (self.condition is not None)  # without the class
        if self.needs_context and passing <= 0:
            raise UserError(
                "this network decodes only the codes of images: its unpooling needs the places of "
                "their maxima",
                "use network=conv to decode codes alone",
            )
        return self.denormalise(self.reconstruction.image(self.output(z, context)))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Pixels (N, C, H, W) -> code -> pixels, without noise and randomness."""
        code = self.encode(x, y=y)
        return self.decode(code.mean, code.context)

    def corrupt(self, x: Tensor, generator: Generator | None, noise: Noise | None = None) -> Tensor:
        """Pixels (N, C, H, W) with that noise (the training one if None), as pixels."""
        noise = self.noise if noise is None else noise
        return self.denormalise(noise(self.normalise(x), generator, self._span()))

    def sample(
        self,
        n: int,
        generator: Generator | None,
        y: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """`n` new images as pixels, (n, C, H, W), from the sampler if there is one, else the prior.

        y: their classes (n,); a conditional model that is given none takes one after the other.
        temperature: scales the standard deviations of what codes are drawn from.
        Raises UserError for codes with neither, and for a temperature where there is none.
        """
        y = cycle_classes(self, n) if y is None else y
        return self.decode(sample_codes(self, n, generator, y, temperature), self.label_context(y))

    def normalise(self, x: Tensor) -> Tensor:
        """Pixels -> the model's range."""
        return (x - self.shift) / self.scale if self.standardised else x

    def denormalise(self, x: Tensor) -> Tensor:
        """The model's range -> pixels."""
        return x * self.scale + self.shift if self.standardised else x

    def _span(self) -> tuple[Tensor, Tensor]:
        return -self.shift / self.scale, (1 - self.shift) / self.scale
