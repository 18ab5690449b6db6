"""Builds the components of a model from configuration nodes.

Does not import Hydra or Lightning, so that a trained model loads fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import yaml

from aecore.config.build import build, resolve
from aecore.config.folders import known
from aecore.config.schema import Config
from aecore.data.statistics import Statistics
from aecore.errors import ConfigError, nearest
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.base import Latent
from aecore.model.networks.base import Network
from aecore.model.noise.base import Noise
from aecore.model.noise.noises import Chain
from aecore.model.objectives.base import Objective
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.weight import WEIGHT_KEYS, Weight, Weighted
from aecore.model.priors.base import Prior
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.beside import image_term, term_name
from aecore.model.samplers.base import Sampler
from aecore.types import ImageShape

T = TypeVar("T")
_RESERVED = ("loss", "reconstruction")


@dataclass(frozen=True)
class Components:
    """The components of a model, and the optional sampler of its codes."""

    network: Network
    latent: Latent
    noise: Noise
    penalties: dict[str, Penalty]
    weights: dict[str, Weight]
    reconstruction: Reconstruction
    prior: Prior
    objective: Objective
    sampler: Sampler | None

    def autoencoder(
        self,
        image_shape: ImageShape,
        statistics: Statistics | None = None,
        classes: int | None = None,
    ) -> Autoencoder:
        """The model for images of this shape; ConfigError if components are incompatible.

        statistics: of standardised data, None for pixels in [0, 1].
        classes: number of classes, None for a model that is not class-conditional.
        """
        components = {name: part for name, part in vars(self).items() if name != "sampler"}
        moments = {} if statistics is None else statistics._asdict()
        return Autoencoder(image_shape=image_shape, classes=classes, **components, **moments)


def build_components(settings: Config) -> Components:
    """Build and check the components of a model, after seeding their initialisation.

    Raises ConfigError.
    """
    torch.manual_seed(settings.seed)
    penalties = {name: build_penalty(name, node) for name, node in settings.penalty.items()}
    reconstruction, weights, others = build_reconstruction(settings.reconstruction)
    for name in others.keys() & penalties.keys():
        raise ConfigError(
            f"penalty.{name}", ..., "a reconstruction term has that name", "rename it"
        )
    weighted = penalties | others
    return Components(
        network=build(settings.network, "network", Network),
        latent=build(settings.latent, "latent", Latent),
        noise=build_noise(settings.noise, "noise"),
        penalties={name: term.penalty for name, term in weighted.items()},
        weights=weights | {name: term.weight for name, term in weighted.items()},
        reconstruction=reconstruction,
        prior=build(settings.prior, "prior", Prior),
        objective=build(settings.objective, "objective", Objective),
        sampler=build(settings.sampler, "sampler", Sampler) if settings.sampler else None,
    )


def build_reconstruction(
    terms: Mapping[str, Mapping[str, Any]],
) -> tuple[Reconstruction, dict[str, Weight], dict[str, Weighted]]:
    """The reconstruction loss, its weight unless that is 1, and the terms beside it; ConfigError.

    The first one decides the output activation, the image and the likelihood.
    """
    if not terms:
        raise ConfigError("reconstruction", [], "no term", "choose one: reconstruction=mse")
    built = {name: build_loss(name, node) for name, node in terms.items()}
    (_, (first, weight)), *others = built.items()
    for name, (loss, _) in others:
        if loss.likelihood:
            problem = f"{name} is a likelihood of pixels, which only the first term may be"
            hint = "put it first, and beside it adversarial, perceptual, ssim or ms_ssim"
            raise ConfigError("reconstruction", [*terms], problem, hint)
    plain = weight.weight == 1 and weight.schedule == "constant" and weight.start == 0
    return (
        first,
        {} if plain else {"reconstruction": weight},
        {term_name(name): Weighted(image_term(loss), weight) for name, (loss, weight) in others},
    )


def build_loss(name: str, node: Mapping[str, Any]) -> tuple[Reconstruction, Weight]:
    """A reconstruction loss and its weight, from one node."""
    return _build_term(node, f"reconstruction.{name}", Reconstruction)


def build_penalty(name: str, node: Mapping[str, Any]) -> Weighted:
    """A penalty and its weight, from one node."""
    path = f"penalty.{name}"
    if name in _RESERVED:
        problem = "this name is reserved for a term of every loss"
        raise ConfigError(path, ..., problem, "choose another")
    return Weighted(*_build_term(node, path, Penalty))


def _build_term(node: Mapping[str, Any], path: str, base: type[T]) -> tuple[T, Weight]:
    """A term of the loss, and its weight, which is constantly 1 where the node has none."""
    options = {k: v for k, v in node.items() if k not in WEIGHT_KEYS}
    weight = {"weight": 1.0, "schedule": "constant", "warmup": 0.0}
    weight |= {k: node[k] for k in WEIGHT_KEYS if k in node}
    target = {"_target_": "aecore.model.penalties.weight.Weight"}
    return build(options, path, base), build(target | weight, path, Weight)


def build_noise(node: Mapping[str, Any], path: str) -> Noise:
    """A noise; the steps of a chain are names of files in conf/noise, or {name: {key: value}}.

    Recorded steps may also be nodes, as for models composed in Python.
    """
    steps = node.get("steps")
    if resolve(node, path, Noise) is not Chain or not isinstance(steps, list):
        return build(node, path, Noise)
    inner = [build_noise(_step(step, path), f"{path}.steps") for step in steps]
    return build({**node, "steps": inner}, path, Noise)


def _step(step: Any, path: str) -> dict[str, Any]:
    """The node of a step of a chain."""
    if isinstance(step, dict) and "_target_" in step:
        return step
    if isinstance(step, dict) and len(step) == 1:
        ((name, changes),) = step.items()
        if changes is None or isinstance(changes, dict):
            return _noise_file(name, path) | dict(changes or {})
    return _noise_file(step, path)


def _noise_file(name: object, path: str) -> dict[str, Any]:
    files = {n: file for n, file in known("noise").items() if n != "chain"}
    if not isinstance(name, str) or name not in files:
        problem = f"no noise {name!r}{nearest(str(name), files)}"
        raise ConfigError(f"{path}.steps", ..., problem, f"known: {', '.join(sorted(files))}")
    node: dict[str, Any] = yaml.safe_load(files[name].read_text())
    return node
