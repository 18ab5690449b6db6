"""Cartoon faces, drawn with Pillow."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageOps

VERSION = 2  # of the drawings: to be raised with any change of a pixel
GLASSES_SHARE = 0.35
_SEED = 0  # of the faces, the same in every run
_SUPERSAMPLING = 4
_HAIRS = ("#1d1a1c", "#3a2418", "#6b3e1f", "#a65a2a", "#d9a441", "#f0d48a", "#b8b4b4")
_STYLES = ("short", "short", "long", "long", "bun", "curly", "bald")


class Face:
    """A cartoon face of random features, the same for the same number.

    Lengths are in half heads, from the middle of the head to the right and down.
    """

    def __init__(self, number: int, size: int) -> None:
        """size: a side of the image in pixels."""
        self._random = np.random.default_rng([_SEED, number])
        self.glasses = bool(self._random.random() < GLASSES_SHARE)
        self._tone, self._width, self._turn = self._random.uniform([0, 0.76, -0.1], [1, 0.94, 0.1])
        self._hair = self._random.choice([*_HAIRS, self._colour(60, 80)])
        self._middle = size * _SUPERSAMPLING / 2
        self._unit = self._middle * self._random.uniform(0.58, 0.69)
        self._thickness = round(0.06 * self._unit)
        self._head = Image.new("RGBA", (size * _SUPERSAMPLING,) * 2)
        self._pen = ImageDraw.Draw(self._head)

    def image(self) -> Image.Image:
        """(size, size) RGB, antialiased."""
        self._draw_head(str(self._random.choice(_STYLES)))
        self._draw_eyes()
        self._draw_nose_and_mouth()
        x, y, angle = self._random.uniform([-0.1, -0.03, -14], [0.1, 0.1, 14])
        shift = x * self._middle, y * self._middle
        head = self._head.rotate(angle, Image.Resampling.BICUBIC, translate=shift)
        ramp = Image.linear_gradient("L").resize(head.size)
        image = ImageOps.colorize(ramp, self._colour(25, 98), self._colour(40, 80))
        self._pen = ImageDraw.Draw(image)
        self._oval(x, 1.9, 1.25, 0.8, self._colour(60, 70))
        self._oval(x, 0.8, 0.3, 0.5, self._skin(0.8))
        image.paste(head, mask=head)
        return image.reduce(_SUPERSAMPLING)

    def _draw_head(self, style: str) -> None:
        width = self._width
        if style == "long":
            self._oval(0, -0.05, 1.2 * width, 1.1, self._hair)
            self._pen.rectangle(self._box(0, 0.5, 1.2 * width, 0.55), self._hair)
        if style == "bun":
            self._oval(-self._turn, -1.15, 0.36, 0.34, self._hair)
        for angle in np.radians(range(150, 400, 24) if style == "curly" else []):
            self._oval(width * np.cos(angle), np.sin(angle), 0.3, 0.3, self._hair)
        for x in (-width, width):
            self._oval(x, 0.02, 0.14, 0.2, self._skin(0.92))
        self._oval(0, 0, width, 1, self._skin())
        if style != "bald":
            start, end = self._random.uniform([180, 300], [230, 350])
            self._pen.chord(self._box(0, 0, 1.05 * width, 1.05), start, end, self._hair)

    def _draw_eyes(self) -> None:
        r, apart, brow = self._random.uniform([0.14, 0.31, 0.32], [0.21, 0.39, 0.46])
        right, down = self._random.uniform(-0.36, 0.36, 2) * r
        iris, frame = self._colour(60, 60), self._colour(70, 50)
        for x in (self._turn - apart, self._turn + apart):
            self._oval(x, -0.1, r, 1.1 * r, "white")
            self._oval(x + right, down - 0.1, 0.6 * r, 0.6 * r, iris)
            self._oval(x + right, down - 0.1, 0.35 * r, 0.35 * r, "black")
            self._line(x, -brow, 0.16, -0.07, self._skin(0.3))
            if self.glasses:
                box = self._box(x, -0.1, 0.27, 0.27)
                self._pen.ellipse(box, outline=frame, width=self._thickness)
        if self.glasses:
            self._line(self._turn, -0.1, apart - 0.27, -0.07, frame)

    def _draw_nose_and_mouth(self) -> None:
        middle = 1.3 * self._turn
        width, smile, opened = self._random.uniform([0.2, -0.2, -0.3], [0.34, 0.2, 0.3])
        self._line(middle, 0.2, 0.08, 0.06, self._skin(0.7))
        if opened > 0:
            self._pen.chord(self._box(middle, 0.5, width, opened), 0, 180, "#66141f")
        else:
            self._line(middle, 0.5, width, smile, "#a0323c")

    def _line(self, x: float, y: float, rx: float, sag: float, colour: str) -> None:
        """From x - rx to x + rx; its middle is lower by `sag`."""
        start = 0 if sag > 0 else 180
        box = self._box(x, y, rx, max(abs(sag), 0.03))
        self._pen.arc(box, start, start + 180, colour, self._thickness)

    def _oval(self, x: float, y: float, rx: float, ry: float, colour: str) -> None:
        self._pen.ellipse(self._box(x, y, rx, ry), colour)

    def _box(self, x: float, y: float, rx: float, ry: float) -> tuple[float, ...]:
        """Left, top, right and bottom around a point, in pixels."""
        return tuple(self._middle + self._unit * np.array([x - rx, y - ry, x + rx, y + ry]))

    def _skin(self, light: float = 1.0) -> str:
        tone = self._tone
        return f"hsv(24, {20 + 45 * tone**0.5:.0f}%, {light * (100 - 65 * tone**1.5):.0f}%)"

    def _colour(self, saturation: int, value: int) -> str:
        """One of any hue."""
        return f"hsv({self._random.integers(360)}, {saturation}%, {value}%)"
