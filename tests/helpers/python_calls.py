"""Random calls of the Python interface: right and wrong arguments of every kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

import aecore
from aecore.config.folders import builtin_options
from aecore.model.slots import SLOTS
from aecore.sklearn import AutoencoderTransformer

Call = tuple[str, Callable[[], Any]]
PLAIN: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 2**70, 0.5, -0.5, 1e300, float("nan"), float("inf"), 1j,
    "", "x", "vae", "cpu", "1", b"x", "a\x00b", "\x1b[31m", "9" * 5000, "[", "${x}", "a=b",
    range(3), [], {}, (), set(), [1, 2], {"a": 1}, [None], object(), int, len, date(2020, 1, 2),
    Path("nowhere"), np.int64(3), np.float32(0.5), np.array(2), np.bool_(True), torch.tensor(1),
)  # fmt: skip
SHAPES = (
    (6, 1, 4, 4), (6, 4, 4), (6, 16), (0, 1, 4, 4), (6, 3, 4, 4), (6, 1, 5, 5), (6,), (), (6, 2),
    (6, 0, 4, 4), (1, 1, 4, 4), (6, 1, 1, 16), (2, 2, 2, 2, 2), (6, 2, 1, 1),
)  # fmt: skip
TYPES = [
    "float32",
    "float64",
    "float16",
    "uint8",
    "int64",
    "int16",
    "bool",
    "complex64",
    "U1",
    "O",
    "M8[s]",
]
MODEL = {"network": "network=mlp", "latent": "latent=gaussian"}


def array(draw: Random) -> Any:
    """An array or tensor, of a shape and type that are often wrong."""
    shape = SHAPES[0] if draw.random() < 0.5 else draw.choice(SHAPES)
    kind = "float32" if draw.random() < 0.5 else draw.choice(TYPES)
    values = np.random.default_rng(draw.randrange(99)).random(shape)
    if draw.random() < 0.2:
        values = values * draw.choice([-1, 255, 1e30, float("nan"), float("inf")])
    with np.errstate(all="ignore"):
        made = np.asarray(values).astype(kind)
    if draw.random() < 0.3:
        try:
            return torch.from_numpy(made)
        except TypeError:
            return made.tolist()
    return made if draw.random() < 0.9 else draw.choice([made.tolist(), np.ma.array(made), made.T])


def anything(draw: Random) -> Any:
    """A value of any kind."""
    return array(draw) if draw.random() < 0.2 else draw.choice(PLAIN)


def option(draw: Random) -> str:
    """A component, `latent=vq`."""
    group = draw.choice(sorted(SLOTS))
    return f"{group}={draw.choice(sorted(builtin_options(group)))}"


def overrides(draw: Random) -> Any:
    """Overrides of a model, many of them wrong."""
    one, name = option(draw), draw.choice(sorted(builtin_options("model")))
    given = (
        name, f"model={name}", one, f"{name} {one}", ["model=vae", one], f"{one} latent.x=1", "-m",
        "figures=all", "task=list", f"latent.dim={draw.choice(PLAIN)}", anything(draw),
    )  # fmt: skip
    return draw.choice(given)


def call(draw: Random, trained: list[aecore.Trained], folder: Path) -> Call:
    """One call: its name, and a function that makes it. folder: where it may keep a run."""

    def some(**usual: Any) -> dict[str, Any]:
        """Keywords: the usual values, or others, or none."""
        return {
            key: value if draw.random() < 0.5 else anything(draw)
            for key, value in usual.items()
            if draw.random() < 0.6
        }

    ae, images = draw.choice(trained), array(draw) if draw.random() < 0.8 else anything(draw)
    training = some(epochs=1, batch_size=4, lr=0.01, device="cpu")
    training.setdefault("epochs", 1)
    given = some(labels=np.arange(6) % 3)
    kind = draw.choice(("fit", "transformer", "create", "compose", "load", "resized", *_METHODS))
    if kind == "fit":
        given |= training | some(overrides=overrides(draw), validation=0.2, seed=1, config_dir=None)
        given |= {"folder": folder} if draw.random() < 0.2 else {}
        chosen = overrides(draw)
        return f"fit {chosen!r} {given}", lambda: aecore.fit(chosen, images, **given)
    if kind == "transformer":
        given = training | some(
            model="vae", n_components=2, image_shape=(1, 4, 4), standardise=True, random_state=1
        )
        return f"transformer {given}", lambda: AutoencoderTransformer(**given).fit(images)
    if kind == "create":
        chosen = option(draw) if draw.random() < 0.9 else anything(draw)
        given = some(dim=3, weight=1.0, hidden=[4], schedule="constant", std=0.1, p=0.5, x=1)
        return f"create {chosen!r} {given}", lambda: aecore.create(chosen, **given)
    if kind == "compose":
        parts = {slot: aecore.create(chosen) for slot, chosen in MODEL.items()}
        given = {"image_shape": (1, 4, 4), **parts}
        given |= some(image_shape=(1, 4, 4), classes=3, penalties={}, weights={}, latent=None)
        return f"Autoencoder {given}", lambda: aecore.Autoencoder(**given)
    if kind == "load":
        place, given = anything(draw), some(device="cpu", config_dir=None)
        return f"load {place!r} {given}", lambda: aecore.load(place, **given)
    if kind == "resized":
        shape = draw.choice([(1, 4, 4), (3, 8, 8), (1, 1, 4), anything(draw)])
        return f"resized {shape!r}", lambda: aecore.resized(images, shape)
    given |= some(**_METHODS[kind])
    first = draw.choice([3, 0, anything(draw)]) if kind == "sample" else images
    return f"{kind} {given}", lambda: getattr(ae, kind)(first, **given)


_METHODS: dict[str, dict[str, Any]] = {
    "sample": {"temperature": 0.7, "seed": 1}, "score": {"by": "elbo", "units": "data"},
    "encode": {"sample": True, "seed": 1}, "decode": {}, "reconstruct": {},
}  # fmt: skip
