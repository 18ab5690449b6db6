"""The autoencoder: network, latent, noise, penalties and reconstruction as one module."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor

from aecore.data.pixels import check_shape
from aecore.errors import UserError
from aecore.model.codes import Code
from aecore.model.conditioning import Conditioning, need_labels
from aecore.model.critics import Adversary, frozen
from aecore.model.latents.base import Latent
from aecore.model.networks.base import Network
from aecore.model.noise.base import Noise
from aecore.model.noise.noises import NoNoise
from aecore.model.objectives.base import Objective, Terms
from aecore.model.objectives.elbo import Elbo
from aecore.model.passes import EncoderPass, Inputs, Pass
from aecore.model.penalties.base import Penalty, by_name
from aecore.model.penalties.weight import Weight, Weighted, as_weight, weighted_penalties
from aecore.model.pixel_range import PixelRange
from aecore.model.priors.base import Prior, PriorDensity
from aecore.model.priors.standard import Standard
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.beside import ImageTerm
from aecore.model.reconstruction.errors import MSE
from aecore.model.sample_codes import cycle_classes, sample_codes
from aecore.model.samplers.base import Fitted
from aecore.model.slots import check_combination, check_components, component_configs
from aecore.types import ImageShape


class Autoencoder(PixelRange):
    """An autoencoder composed of components, for images of one shape.

    Inputs and outputs are pixels in [0, 1], (N, C, H, W); internally they are
    (pixels - shift) / scale, the model's range, with shift and scale as buffers.

    image_shape: (C, H, W); a table of D columns is (1, 1, D).
    noise, reconstruction, prior, objective: None for no noise, the squared error, the standard
        prior of the latent, the ELBO (for a deterministic code: the loss without a KL).
    penalties: by unique names; further reconstruction terms are `image_term`s among them.
    weights: by these names or `reconstruction`, numbers or `Weight`s; the default is 1, or the
        weight of a `Weighted`.
    shift, scale: (C, 1, 1) or (1, 1, D) statistics of standardised data; None keeps [0, 1].
        float64 where float32 is too coarse for the data.
    limits: (2,) the smallest and largest training pixel of images outside [0, 1]; None within it.
    classes: number of classes of a class-conditional model, else None. A conditional model requires
        the labels `y`, (N,) int64, in every method with that argument; other models ignore them.
    sampler: used instead of the prior to sample codes; fitted after training, not in the weights.
    Raises UserError if two components are incompatible or the images are too small.
    """

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
        limits: Tensor | None = None,
        classes: int | None = None,
    ) -> None:
        super().__init__(shift, scale, limits)
        components: dict[str, Any] = {
            "network": network,
            "latent": latent,
            "noise": NoNoise() if noise is None else noise,
            "reconstruction": MSE() if reconstruction is None else reconstruction,
            "prior": Standard() if prior is None else prior,
            "objective": Elbo() if objective is None else objective,
        }
        weights = {} if weights is None else weights
        weighted = weighted_penalties({} if penalties is None else penalties, weights)
        check_components(components, weighted)
        first = {n: as_weight(w) for n, w in weights.items() if n == "reconstruction"}
        self.weights = first | {name: term.weight for name, term in weighted.items()}
        self.nodes = component_configs(components, weighted, first)  # to build this model again
        self.image_shape = image_shape = check_shape(image_shape)
        self.network = network
        self.output_activation = network.output_activation
        self.needs_context = network.needs_context
        self.condition = None if classes is None else Conditioning(classes, image_shape)
        self.encoder = network.encoder(self.encoder_shape)
        # copies: a component may be passed to several models, each with its own weights
        self.latent = deepcopy(latent)
        self.code_shape = self.latent.attach(network.feature_shape(self.encoder_shape))
        decoder_shape = self.code_shape
        if self.condition is not None:
            decoder_shape = self.condition.code_shape(self.code_shape)
        self.decoder = network.decoder(decoder_shape, image_shape)
        self.noise: Noise = components["noise"]
        self.reconstruction: Reconstruction = deepcopy(components["reconstruction"])
        self.penalty_modules = by_name({n: deepcopy(t.penalty) for n, t in weighted.items()})
        self.prior: Prior = deepcopy(components["prior"]).attach(self)
        self.sampler: Fitted | None = None
        self.objective: Objective = components["objective"]
        for part in (network, self.reconstruction, self.prior, *self.penalties.values()):
            part.connect(self)
        self.to(memory_format=torch.channels_last)  # a third faster convolutions
        check_combination(self)

    @property
    def penalties(self) -> dict[str, Penalty]:
        """The penalties by the names of their terms."""
        return {n: p for n, p in self.penalty_modules.items() if isinstance(p, Penalty)}

    @property
    def classes(self) -> int | None:
        """Number of classes of a class-conditional model, None for others."""
        return None if self.condition is None else self.condition.classes

    @property
    def encoder_shape(self) -> ImageShape:
        """Shape of the encoder's input: an image, with a class plane if class-conditional."""
        return self.image_shape if self.condition is None else self.condition.image_shape

    @property
    def prior_density(self) -> PriorDensity:
        """p(z) with the current weights; that of a VampPrior depends on the encoder."""
        return self.prior.density(self)

    @property
    def noise_variance(self) -> float | None:
        """`v` if the loss counts the squared error / (2 v) plus a constant, else None."""
        variance, weight = self.reconstruction.variance, self.weights.get("reconstruction")
        return variance if weight is None or variance is None else variance / weight.at(math.inf)

    @property
    def has_likelihood(self) -> bool:
        """Whether the reconstruction is a likelihood of pixels and nothing else."""
        alone = not any(isinstance(p, ImageTerm) for p in self.penalties.values())
        return alone and self.reconstruction.likelihood

    @property
    def adversaries(self) -> dict[str, Adversary]:
        """The components with a critic, by the names of their terms."""
        terms = {"reconstruction": self.reconstruction, **self.penalties}
        return {name: term for name, term in terms.items() if isinstance(term, Adversary)}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups of the optimizer: the model, then each critic with its learning rate."""
        critics: list[dict[str, Any]] = [
            {"params": [*adversary.critic.parameters()], "lr": adversary.critic_lr}
            for adversary in self.adversaries.values()
        ]
        taken = {id(p) for group in critics for p in group["params"]}
        others = [p for p in self.parameters() if p.requires_grad and id(p) not in taken]
        return [{"params": others}, *critics]

    @property
    def can_sample(self) -> bool:
        """Whether new images can be sampled, from the prior or by a sampler."""
        return self.draws_prior or (self.sampler is not None and not self.needs_context)

    @property
    def draws_prior(self) -> bool:
        """Whether samples of the prior can be decoded to images."""
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
        target: Tensor | None = None,
    ) -> Pass:
        """A pass of pixels (N, C, H, W), with noise if `noisy` and a sampled code if `sample`.

        target: pixels that the output is compared with, see `Batch`.
        """
        clean, x_in, h, context = self.encoder_pass(Inputs(x, generator, noisy, y, target))
        code = replace(self.latent(h, generator, sample), context=context)
        return Pass(clean, x_in, h, code, self.output(code.z, context), self, generator, y)

    def encoder_pass(self, inputs: Inputs) -> EncoderPass:
        """The first half of `run`: from pixels to the features of the encoder."""
        x, generator, noisy, y, target = inputs
        clean = self.normalise(x if target is None else target)
        clean = self.reconstruction.target(clean, generator)
        x_in = clean if target is None else self.reconstruction.expected(self.normalise(x))
        if noisy and self.noise.active:
            x_in = self.noise(x_in, generator, self._span())
        return EncoderPass(clean, x_in, *self.features(x_in, y))

    def features(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The encoder's features of x in the model's range, and the context of the code."""
        output = self.encoder(self.encoder_input(x, y))
        h, context = output if self.needs_context else (output, ())
        return h, (*context, *self.label_context(y))

    def encoder_input(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The input of the encoder for `x` in the model's range, (N, *encoder_shape)."""
        return x if self.condition is None else self.condition.with_class_plane(x, need_labels(y))

    def label_context(self, y: Tensor | None) -> tuple[Tensor, ...]:
        """The last item of a context: the labels of a conditional model, empty for others."""
        return () if self.condition is None else (need_labels(y),)

    def output(
        self, z: Tensor, context: tuple[Tensor, ...] = (), *, constant: bool = False
    ) -> Tensor:
        """The decoder's raw output for codes (N, *code_shape), (N, C, H, W).

        context: see `Code.context`. constant: gradients flow to `z` only, not to the weights.
        """
        if self.condition is not None:
            context, y = context[:-1], need_labels(context[-1] if context else None)
            z = self.condition.with_one_hot(z, y)
        inputs = (z, context) if self.needs_context else (z,)
        output: Tensor = frozen(self.decoder, *inputs) if constant else self.decoder(*inputs)
        return output

    def terms(
        self,
        x: Tensor,
        generator: Generator | None,
        *,
        epoch: float,
        noisy: bool,
        y: Tensor | None = None,
        target: Tensor | None = None,
    ) -> Terms:
        """The objective on pixels (N, C, H, W), with the penalty weights after `epoch` epochs.

        target: pixels that the outputs are compared with, None for x.
        """
        weights = {name: w.at(epoch) for name, w in self.weights.items() if w.has_started(epoch)}
        self.latent.set_epoch(epoch)
        for penalty in self.penalties.values():
            penalty.set_epoch(epoch)
        return self.objective(self, Inputs(x, generator, noisy, y, target), weights)

    def encode(
        self, x: Tensor, generator: Generator | None = None, y: Tensor | None = None
    ) -> Code:
        """Codes of clean pixels (N, C, H, W): z is the mean, or a sample if `generator` is set."""
        h, context = self.features(self.reconstruction.expected(self.normalise(x)), y)
        code: Code = self.latent(h, generator, generator is not None)
        return replace(code, context=context)

    def decode(self, z: Tensor, context: tuple[Tensor, ...] = ()) -> Tensor:
        """Codes (N, *code_shape) -> mean images as pixels, (N, C, H, W), not clamped.

        context: `Code.context` of the images; `label_context(y)` if it consists of the class only.
        Raises UserError if the model needs it and it is missing.
        """
        passing = len(context) - (self.condition is not None)  # without the class
        if self.needs_context and passing <= 0:
            raise UserError(
                "this network decodes only the codes of images: its unpooling needs the positions "
                "of their maxima",
                "use network=conv to decode codes alone",
            )
        return self.denormalise(self.reconstruction.image(self.output(z, context)))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Pixels (N, C, H, W) -> code -> pixels, deterministically and without noise."""
        code = self.encode(x, y=y)
        return self.decode(code.mean, code.context)

    def corrupt(self, x: Tensor, generator: Generator | None, noise: Noise | None = None) -> Tensor:
        """Pixels (N, C, H, W) with `noise` (None: that of training) added, as pixels."""
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

        y: their classes (n,); a conditional model cycles through the classes if None.
        temperature: scales the standard deviation of the sampled codes.
        Raises UserError without sampler and prior, and for a temperature that is not supported.
        """
        y = cycle_classes(self, n) if y is None else y
        return self.decode(sample_codes(self, n, generator, y, temperature), self.label_context(y))
