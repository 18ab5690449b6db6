"""A pass through an autoencoder, and the protocol of the model for its components.

Components import the protocol `Model` and never `Autoencoder`, which imports them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from torch import Generator, Tensor, nn

from aecore.model.codes import Code
from aecore.types import ImageShape, Shape

if TYPE_CHECKING:
    from aecore.model.critics import Adversary
    from aecore.model.latents.base import Latent
    from aecore.model.noise.base import Noise
    from aecore.model.objectives.base import Objective
    from aecore.model.penalties.base import Penalty
    from aecore.model.priors.base import Prior, PriorDensity
    from aecore.model.reconstruction.base import Reconstruction
    from aecore.model.samplers.base import Fitted


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
    def latent(self) -> Latent: ...
    @property
    def noise(self) -> Noise: ...
    @property
    def weights(self) -> Mapping[str, Any]: ...
    @property
    def reconstruction(self) -> Reconstruction: ...
    @property
    def penalties(self) -> Mapping[str, Penalty]: ...
    @property
    def adversaries(self) -> Mapping[str, Adversary]: ...
    @property
    def prior(self) -> Prior: ...
    @property
    def prior_density(self) -> PriorDensity: ...
    @property
    def sampler(self) -> Fitted | None: ...
    @property
    def objective(self) -> Objective: ...
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
