"""The slots of a sentence: what fills each, and how what fills it is said again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aecore.errors import UserError
from aecore.latents import Latent
from aecore.networks import Network
from aecore.noise import Noise
from aecore.objectives import Objective
from aecore.penalties import Penalty, Weighted
from aecore.penalties.weight import WEIGHT_KEYS
from aecore.priors import PriorWord
from aecore.reconstruction import Reconstruction
from aecore.types import ImageShape
from aecore.words import node_of

SLOTS: dict[str, type] = {
    "network": Network,
    "latent": Latent,
    "noise": Noise,
    "penalty": Penalty,
    "reconstruction": Reconstruction,
    "prior": PriorWord,
    "objective": Objective,
}


def check_words(words: Mapping[str, object], penalties: Mapping[str, Weighted]) -> None:
    """Raise UserError for what is no word of the slot that it is given for."""
    for slot, given in (*words.items(), *(("penalty", p.penalty) for p in penalties.values())):
        if not isinstance(given, SLOTS[slot]):
            home = SLOTS[slot].__module__.rpartition(".")[0]
            raise UserError(
                f"{slot}={given!r}: must be a {SLOTS[slot].__name__}\n"
                f'  give one of {home}, or aecore.word("{slot}=...")'
            )


def check_shape(shape: object) -> ImageShape:
    """(C, H, W) of images; UserError for anything else."""
    sides = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sides) != 3 or not all(isinstance(n, int) and n > 0 for n in sides):
        raise UserError(
            f"image_shape={shape!r}: give (channels, height, width)\n"
            "  such as (1, 28, 28); of a table of D columns (1, 1, D)"
        )
    channels, height, width = sides
    return channels, height, width


def nodes_of(words: Mapping[str, object], penalties: Mapping[str, Weighted]) -> dict[str, Any]:
    """The nodes of a configuration that say these words."""
    terms = {}
    for name, term in penalties.items():
        weight = node_of(term.weight)
        terms[name] = {**node_of(term.penalty), **{key: weight[key] for key in WEIGHT_KEYS}}
    return {**node_of(words), "penalty": terms}


def named(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """What to call the words of such nodes, by slot; of penalties the names of their terms."""
    words = {slot: node.get("_target_") for slot, node in nodes.items() if slot != "penalty"}
    called = {slot: str(target).rpartition(".")[2] for slot, target in words.items()}
    return {**called, "penalty": list(nodes["penalty"])}
