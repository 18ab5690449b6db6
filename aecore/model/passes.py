"""A pass through an autoencoder, and the protocol of the model for its components.

Components import the protocol `Model` and never `Autoencoder`, which imports them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Generator, Tensor, nn

from aecore.model.codes import Code
from aecore.types import ImageShape, Shape


class Inputs(NamedTuple):
    """What a model is trained on, or evaluated with.

    x: (N, C, H, W) pixels. generator: of all random numbers; None for PyTorch's default generator.
    noisy: whether the noise is applied. y: (N,) labels, required by a conditional model.
    target: pixels that the output is compared with, see `Batch`; None for x.
    """

    x: Tensor
    generator: Generator | None
    noisy: bool
    y: Tensor | None = None
    target: Tensor | None = None


class EncoderPass(NamedTuple):
    """Inputs and outputs of an encoder; the fields are those of Pass and Code.

    x, x_in: (N, C, H, W). h: (N, *feature_shape). context: see `Code`.
    """

    x: Tensor
    x_in: Tensor
    h: Tensor
    context: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """A forward pass of a batch through an autoencoder, the input of objectives and penalties.

    x: (N, C, H, W) clean, in the model's range (standardised if the data are).
    x_in: (N, C, H, W) the input of the encoder: x plus noise.
    h: (N, *feature_shape) the encoder's features.
    code: the output of the latent.
    output: (N, C, H, W) the decoder's raw output, as the reconstruction loss expects (logits, ...).
    model: the autoencoder; for penalties that encode or decode again.
    generator: of further random numbers; None for PyTorch's default generator.
    y: (N,) int64 class labels, or None.
    """

    x: Tensor
    x_in: Tensor
    h: Tensor
    code: Code
    output: Tensor
    model: Model
    generator: Generator | None = None
    y: Tensor | None = None


class ModuleProtocol(Protocol):
    """A part of a model."""

    def modules(self) -> Iterator[nn.Module]: ...


class NoiseProtocol(Protocol):
    """The noise of a model: see `aecore.model.noise.base.Noise`."""

    @property
    def active(self) -> bool: ...


class LatentProtocol(ModuleProtocol, Protocol):
    """The latent of a model: see `aecore.model.latents.base.Latent`."""

    variational: bool
    gaussian: bool
    layered: bool
    pathwise: bool
    relaxed: bool
    sequential: bool
    uneven: bool
    codebook_size: int | None
    cost_names: tuple[str, ...]

    @property
    def smooth(self) -> bool: ...
    def __call__(self, h: Tensor, generator: Generator | None, sample: bool) -> Code: ...
    def nearest(self, z: Tensor) -> Tensor: ...
    def decode_indices(self, indices: Tensor) -> Tensor: ...
    def costs(self, p: Pass) -> Mapping[str, Tensor]: ...
    # a `Standalone` prior, whose module imports this one
    def standard_prior(self) -> Any: ...


class ReconstructionProtocol(Protocol):
    """The reconstruction loss of a model: see `aecore.model.reconstruction.base.Reconstruction`."""

    likelihood: bool
    cost_names: tuple[str, ...]

    def __call__(self, output: Tensor, x: Tensor) -> Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def image(self, output: Tensor) -> Tensor: ...
    def costs(self, p: Pass) -> Mapping[str, Tensor]: ...
    def log_constant(self, pixels: int) -> float: ...


class PenaltyProtocol(Protocol):
    """A penalty of a model: see `aecore.model.penalties.base.Penalty`."""

    @property
    def is_kl(self) -> bool: ...
    @property
    def holds_prior(self) -> bool: ...
    def __call__(self, p: Pass) -> Tensor: ...
    def path(self, name: str) -> str: ...


class PriorProtocol(Protocol):
    """The prior of a model: see `aecore.model.priors.base.PriorDensity`."""

    factorised: bool
    encodes: bool

    def parameters(self) -> Iterator[nn.Parameter]: ...


class PriorDensityProtocol(Protocol):
    """p(z) with the current weights: see `aecore.model.priors.base.PriorDensity`."""

    no_temperature: str | None

    def kl(self, code: Code) -> Tensor: ...
    def log_prob(self, z: Tensor) -> Tensor: ...
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor: ...


class SamplerProtocol(Protocol):
    """The fitted sampler of a model: see `aecore.model.samplers.base.Fitted`."""

    of_indices: bool

    @property
    def no_temperature(self) -> str | None: ...
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor: ...
    def draw_of(
        self, y: Tensor, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor: ...


class ObjectiveProtocol(Protocol):
    """The objective of a model: see `aecore.model.objectives.base.Objective`."""

    holds_prior: bool
    term: str | None


class AdversaryProtocol(Protocol):
    """A component that owns a critic: see `aecore.model.critics.Adversary`."""

    def critic_loss(self, p: Pass) -> Tensor: ...


class Model(Protocol):
    """The autoencoder, as its components see it; shapes as in `Autoencoder`."""

    image_shape: ImageShape
    code_shape: Shape
    needs_context: bool
    standardised: bool
    shift: Tensor
    limits: Tensor | None
    encoder: nn.Module
    decoder: nn.Module

    @property
    def like(self) -> Tensor: ...
    @property
    def output_activation(self) -> str | None: ...
    @property
    def classes(self) -> int | None: ...
    @property
    def latent(self) -> LatentProtocol: ...
    @property
    def noise(self) -> NoiseProtocol: ...
    @property
    def weights(self) -> Mapping[str, Any]: ...
    @property
    def has_likelihood(self) -> bool: ...
    @property
    def reconstruction(self) -> ReconstructionProtocol: ...
    @property
    def penalties(self) -> Mapping[str, PenaltyProtocol]: ...
    @property
    def adversaries(self) -> Mapping[str, AdversaryProtocol]: ...
    @property
    def prior(self) -> PriorProtocol: ...
    @property
    def prior_density(self) -> PriorDensityProtocol: ...
    @property
    def sampler(self) -> SamplerProtocol | None: ...
    @property
    def objective(self) -> ObjectiveProtocol: ...
    @property
    def draws_prior(self) -> bool: ...
    @property
    def can_sample(self) -> bool: ...
    def run(
        self,
        x: Tensor,
        generator: Generator | None,
        *,
        noisy: bool,
        sample: bool,
        y: Tensor | None = None,
        target: Tensor | None = None,
    ) -> Pass: ...
    def encoder_pass(self, inputs: Inputs) -> EncoderPass: ...
    def features(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]: ...
    def encoder_input(self, x: Tensor, y: Tensor | None) -> Tensor: ...
    def output(
        self, z: Tensor, context: tuple[Tensor, ...] = (), *, constant: bool = False
    ) -> Tensor: ...
    def decode(self, z: Tensor, context: tuple[Tensor, ...] = ()) -> Tensor: ...
    def normalise(self, x: Tensor) -> Tensor: ...
