"""The parameters of a cartoon face, and random faces."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aecore.data.cartoons.canvas import Colour, mixed

GLASSES_SHARE = 0.35
Style = Literal["short", "fringe", "parted", "spiky", "long", "bun", "curly", "bald"]
STYLES: tuple[Style, ...] = (
    "short", "fringe", "parted", "spiky", "long", "long", "bun", "curly", "bald",
)  # fmt: skip
_SKINS = ("ffe3d1", "f7c9a5", "e3a577", "b9784c", "8a5433", "5a3420")
_HAIRS = ("1d1a1c", "3a2418", "6b3e1f", "a65a2a", "d9a441", "f0d48a", "b8b4b4")
_IRISES = ("3b2417", "6e4a25", "4f7a3c", "3f7fb0", "5b6f82")


@dataclass(frozen=True, slots=True)
class Face:
    """One face. Lengths are in half heads, angles in degrees.

    x, y, angle, size: position of the head (in half images). turn: how far it looks
    to the right, -1..1. mouth: -1 frowns, 1 smiles. gaze: where the eyes look, each -1..1.
    """

    skin: Colour
    hair: Colour
    style: Style
    iris: Colour
    shirt: Colour
    background: tuple[Colour, Colour, float]
    x: float
    y: float
    angle: float
    size: float
    turn: float
    width: float
    jaw: float
    eye: float
    eye_distance: float
    gaze: tuple[float, float]
    brow: float
    mouth: float
    mouth_width: float
    open: float
    blush: float
    glasses: tuple[float, Colour] | None


def face(index: int, seed: int) -> Face:
    """A face drawn at random, a pure function of (index, seed)."""
    r = np.random.default_rng([seed, index])

    def between(low: float, high: float) -> float:
        return low + (high - low) * r.random()

    hue = r.random()
    other = hue + between(-0.15, 0.15)
    mouth = between(-1, 1)
    frame = (0.1, 0.1, 0.12) if r.random() < 0.6 else _hsv(r.random(), 0.75, 0.6)
    return Face(
        skin=_between_anchors(_SKINS, r.random()),
        hair=_hsv(r.random(), 0.6, 0.8)
        if r.random() < 0.1
        else _between_anchors(_HAIRS, r.random()),
        style=STYLES[int(r.random() * len(STYLES))],
        iris=_rgb(_IRISES[int(r.random() * len(_IRISES))]),
        shirt=_hsv(r.random(), between(0.35, 0.75), between(0.5, 0.95)),
        background=(_hsv(hue, 0.22, 0.98), _hsv(other, between(0.3, 0.5), 0.85), between(0, 360)),
        x=between(-0.1, 0.1),
        y=between(-0.03, 0.1),
        angle=between(-14, 14),
        size=between(0.58, 0.69),
        turn=between(-1, 1),
        width=between(0.76, 0.94),
        jaw=between(-0.05, 0.3),
        eye=between(0.14, 0.21),
        eye_distance=between(0.31, 0.39),
        gaze=(between(-1, 1), between(-1, 1)),
        brow=between(-1, 1),
        mouth=mouth,
        mouth_width=between(0.44, 0.72),
        open=max(between(-0.25, 0.34), 0.0) * (mouth > -0.3),
        blush=between(0, 1),
        glasses=(between(0, 1), frame) if r.random() < GLASSES_SHARE else None,
    )


def _rgb(text: str) -> Colour:
    red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


def _between_anchors(anchors: tuple[str, ...], share: float) -> Colour:
    """A colour on the way from the first anchor to the last."""
    place = share * (len(anchors) - 1)
    i = min(int(place), len(anchors) - 2)
    return mixed(_rgb(anchors[i]), _rgb(anchors[i + 1]), place - i)
