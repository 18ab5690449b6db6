"""Antialiased drawing in transformed coordinates, with Pillow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[float, float, float]  # red, green, blue in [0, 1]
Points = NDArray[np.float64]  # (n, 2), x to the right and y down
SUPERSAMPLING = 4


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """(1 - share) a + share b."""
    red, green, blue = (p + share * (q - p) for p, q in zip(a, b, strict=True))
    return red, green, blue


def arc(x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = 360.0) -> Points:
    """Points of an ellipse between two angles in degrees, clockwise from the right."""
    angle = np.radians(np.linspace(start, end, 48))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def bend(x: float, y: float, width: float, sag: float, tilt: float = 0.0) -> Points:
    """A parabola around (x, y) that sags in its middle; tilt: how much lower its right end is."""
    t = np.linspace(-1, 1, 17)
    return np.stack([x + width / 2 * t, y + sag * (1 - t**2) - sag / 2 + tilt / 2 * t], 1)


class Canvas:
    """A square image in which (0, 0) is the centre and 1 half a side, drawn from back to front.

    `place` moves, turns and scales what is drawn after it.
    """

    def __init__(self, background: NDArray[np.uint8]) -> None:
        """background: (S, S, 3), of an image of S x S pixels."""
        side = len(background) * SUPERSAMPLING
        self._image = Image.fromarray(background).resize((side, side), Image.Resampling.NEAREST)
        self._pen = ImageDraw.Draw(self._image)
        self._half = side / 2
        self.place(0.0, 0.0, 0.0, 1.0)

    def place(self, x: float, y: float, angle: float, scale: float) -> None:
        """From now on (0, 0) is at (x, y), turned clockwise by `angle` degrees, `scale` long."""
        turn = math.radians(angle)
        cos, sin = math.cos(turn), math.sin(turn)
        self._matrix = self._half * scale * np.array([[cos, sin], [-sin, cos]])
        self._shift = self._half * (1 + np.array([x, y]))
        self._unit = self._half * scale

    def fill(self, points: Points, colour: Colour) -> None:
        """A polygon."""
        self._pen.polygon(self._pixels(points), fill=_bytes(colour))

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """An ellipse."""
        self.fill(arc(x, y, rx, ry), colour)

    def line(self, points: Points, width: float, colour: Colour) -> None:
        """A line with round ends."""
        pixels, thick = self._pixels(points), width * self._unit
        self._pen.line(pixels, fill=_bytes(colour), width=max(round(thick), 1), joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            box = (x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2)
            self._pen.ellipse(box, fill=_bytes(colour))

    def image(self) -> Image.Image:
        """The image, antialiased, (S, S) RGB."""
        return self._image.reduce(SUPERSAMPLING)

    def _pixels(self, points: Points) -> Sequence[Any]:
        return [(x, y) for x, y in (points @ self._matrix + self._shift).tolist()]


def gradient(size: int, first: Colour, second: Colour, angle: float) -> NDArray[np.uint8]:
    """(size, size, 3): `first` turns into `second` along a direction, `angle` degrees."""
    t = np.linspace(-1, 1, size)
    turn = math.radians(angle)
    share = 0.5 + (t * math.cos(turn) + t[:, None] * math.sin(turn)) / (2 * math.sqrt(2))
    a, b = np.array(first), np.array(second)
    pixels: NDArray[np.uint8] = np.round(255 * (a + share[..., None] * (b - a))).astype(np.uint8)
    return pixels


def _bytes(colour: Colour) -> tuple[int, ...]:
    return tuple(round(255 * min(max(value, 0.0), 1.0)) for value in colour)
