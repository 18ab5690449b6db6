"""The base classes of samplers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import Component, PositiveInt
from aecore.errors import ConfigError
from aecore.model.passes import Model


class Fitted(ABC):
    """A distribution fitted to codes, which are flattened to D values.

    of_indices: whether it is one of codebook indices instead: draws are (n, places) int64.
    """

    of_indices: bool = False

    @property
    def no_temperature(self) -> str | None:
        """Why samples have no temperature; None if they are computed from Gaussian ones."""
        return "this sampler draws from no Gaussian"

    @abstractmethod
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        """`n` codes, (n, D), on the device and of the type of `like`.

        temperature: scales the standard deviations of the Gaussian samples these come from;
            1 for the distribution itself, and if there is `no_temperature`.
        """

    def draw_of(
        self, y: Tensor, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        """A code for each class of y (n,), (n, D); independent of y unless fitted by class."""
        return self.draw(len(y), like, generator, temperature)

    def tensors(self) -> dict[str, Tensor]:
        """Its parameters, by name.

        It is no `nn.Module`, as a model must not own it: its weights are those that were trained.
        """
        tensors: dict[str, Tensor] = {}
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                tensors[name] = value
            elif isinstance(value, nn.Module):
                tensors |= {k: v.cpu() for k, v in value.state_dict(prefix=f"{name}.").items()}
        return tensors


class Sampler(Component, ABC):
    """Fits a distribution to the codes of training images, after training.

    A `CodeSampler` or an `IndexSampler`. With a sampler any latent can be sampled, with or without
    a prior.

    name: of the option. images: maximum number of images that are encoded.
    """

    name: ClassVar[str]

    images: PositiveInt

    @property
    def least(self) -> int:
        """The minimum number of codes."""
        return 2

    def check(self, model: Model, images: int) -> None:
        """Raise ConfigError if the model, or the number of training images, is not supported."""
        if model.needs_context:
            raise ConfigError(
                "sampler",
                self.name,
                "this network decodes only the codes of images: its unpooling needs the positions "
                "of their maxima",
                {"network": "conv", "sampler": "none"},
            )
        codes = min(images, self.images)
        if codes < self.least:
            problem = f"it needs {self.least} codes and has {codes}"
            hint = "use more sampler.images and training images, or a simpler sampler"
            raise ConfigError("sampler", self.name, problem, hint)


class CodeSampler(Sampler):
    """Fits a distribution to mean codes.

    For a latent with restricted codes the nearest valid code of a sample is decoded. A conditional
    model has one distribution per class, see `ByClass`, independently of the sampler.
    """

    @abstractmethod
    def fit(self, codes: Tensor, seed: int) -> Fitted:
        """Fit to codes (N, D), float32 on the CPU; equal for equal seeds."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], dim: int) -> Fitted:
        """The distribution with these `Fitted.tensors`, for codes of D = dim values.

        Raises ValueError or KeyError for other tensors.
        """


class IndexSampler(Sampler):
    """Fits a distribution to the codebook indices of codes; for latents with a codebook."""

    @abstractmethod
    def fit(
        self,
        indices: Tensor,
        entries: int,
        seed: int,
        labels: Tensor | None = None,
        classes: int | None = None,
    ) -> Fitted:
        """Fit to indices (N, places) int64 below `entries`, on the CPU; equal for equal seeds.

        labels: (N,) below `classes`, of a conditional model, whose distribution they condition.
        """

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], model: Model) -> Fitted:
        """The distribution with these `Fitted.tensors`, for the codes of a model.

        Raises ValueError, KeyError or RuntimeError for other tensors.
        """

    @override
    def check(self, model: Model, images: int) -> None:
        super().check(model, images)
        if model.latent.codebook_size is None:
            raise ConfigError(
                "sampler",
                self.name,
                "the codes of this latent are no entries of a codebook",
                {"latent": "vq", "sampler": "gmm"},
            )


def shaped(tensors: Mapping[str, Tensor], **shapes: tuple[int | None, ...]) -> list[Tensor]:
    """The tensors in the order of `shapes`, in which None is any length.

    Raises ValueError for other names, shapes or dtypes.
    """
    if tensors.keys() != shapes.keys():
        raise ValueError(f"{sorted(tensors)} instead of {sorted(shapes)}")
    for name, shape in shapes.items():
        actual = tuple(tensors[name].shape)
        fits = len(actual) == len(shape) and all(
            s in (None, f) for s, f in zip(shape, actual, strict=True)
        )
        if not fits or not tensors[name].is_floating_point():
            raise ValueError(f"{name} is {actual} instead of {shape}")
    return [tensors[name] for name in shapes]
