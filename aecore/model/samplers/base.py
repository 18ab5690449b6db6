"""What every sampler promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Generator, Tensor

from aecore.errors import ConfigError
from aecore.model.passes import Model


class Fitted(ABC):
    """A distribution that was fitted to codes, flattened to D numbers."""

    @property
    def no_temperature(self) -> str | None:
        """Why draws have no temperature; None where they are made of Gaussian ones."""
        return "this sampler draws from no Gaussian"

    @abstractmethod
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        """`n` codes, (n, D), on the device and of the type of `like`.

        temperature: scales the standard deviations of the Gaussian draws that they are made of;
            1 for the distribution itself, and where there is `no_temperature`.
        """

    def draw_of(
        self, y: Tensor, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        """A code for an image of each class of y (n,), (n, D); all alike unless it knows them."""
        return self.draw(len(y), like, generator, temperature)

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All that it is, by name."""


class Sampler(ABC):
    """Fits a distribution to the mean codes of training images, after training.

    So that any latent can be drawn from, with or without a prior. A latent whose codes are not all
    of R^D decodes the code nearest to a draw. A conditional model has one distribution for each
    class, see `ByClass`; no sampler needs to know.

    name: of the word. images: how many are encoded, at most.
    """

    name: str
    images: int

    @property
    def least(self) -> int:
        """How many codes it takes."""
        return 2

    @abstractmethod
    def fit(self, codes: Tensor, seed: int) -> Fitted:
        """Fit to codes (N, D), float32 on the CPU; equal for equal seeds."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], dim: int) -> Fitted:
        """What `Fitted.tensors` were those of, for codes of D = dim numbers.

        Raises ValueError or KeyError for the tensors of something else.
        """

    def check(self, model: Model, images: int) -> None:
        """Raise ConfigError where codes of that model, of so many training images, are no use."""
        if model.needs_context:
            raise ConfigError(
                "sampler",
                self.name,
                "this network decodes only the codes of images: its unpooling needs the places of "
                "their maxima",
                {"network": "conv", "sampler": "none"},
            )
        codes = min(images, self.images)
        if codes < self.least:
            problem = f"it needs {self.least} codes and has {codes}"
            hint = "use more sampler.images and training images, or a simpler sampler"
            raise ConfigError("sampler", self.name, problem, hint)


def shaped(tensors: Mapping[str, Tensor], **shapes: tuple[int | None, ...]) -> list[Tensor]:
    """The tensors of those names, in that order; None is a length that may be any.

    Raises ValueError where there are others, or others' shapes or kinds of numbers.
    """
    if tensors.keys() != shapes.keys():
        raise ValueError(f"{sorted(tensors)} instead of {sorted(shapes)}")
    for name, shape in shapes.items():
        found = tuple(tensors[name].shape)
        fits = len(found) == len(shape) and all(
            s in (None, f) for s, f in zip(shape, found, strict=True)
        )
        if not fits or not tensors[name].is_floating_point():
            raise ValueError(f"{name} is {found} instead of {shape}")
    return [tensors[name] for name in shapes]
