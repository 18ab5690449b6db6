"""How a cartoon face is drawn."""

from __future__ import annotations

import numpy as np
from PIL import Image

from aecore.data.cartoons.canvas import Canvas, Colour, Points, arc, bend, gradient, mixed
from aecore.data.cartoons.face import Face, Style

VERSION = 1  # of the drawings: to be raised with any change of a pixel
_INK, _WHITE = (0.13, 0.10, 0.13), (1.0, 1.0, 1.0)


def draw(face: Face, size: int) -> Image.Image:
    """(size, size) RGB."""
    canvas = Canvas(gradient(size, *face.background))
    _body(canvas, face)
    canvas.place(face.x, face.y, face.angle, face.size)
    _back_hair(canvas, face)
    _head(canvas, face)
    for side in (-1, 1):
        _eye(canvas, face, side)
    _nose_and_mouth(canvas, face)
    _front_hair(canvas, face)
    for side in (-1, 1):
        x = _middle(face) + side * face.eye_distance
        tilt = -0.1 * side * face.brow
        colour = mixed(face.hair, _INK, 0.45)
        y = -0.1 - face.eye - 0.13 - 0.03 * face.brow
        canvas.line(bend(x, y, 0.3, -0.07, tilt), 0.065, colour)
    if face.glasses is not None:
        _glasses(canvas, face, *face.glasses)
    return canvas.image()


def _middle(face: Face) -> float:
    """Where the middle of the features is: a turned head shows more of one side."""
    return 0.13 * face.turn


def _outline(face: Face, start: float = 0, end: float = 360, grown: float = 1.0) -> Points:
    """The head between two angles: an ellipse that narrows to the chin."""
    points = arc(0, 0, face.width * grown, grown, start, end)
    points[:, 0] *= 1 - face.jaw * np.clip(points[:, 1], 0, None)
    return points


def _body(canvas: Canvas, face: Face) -> None:
    """Neck and shoulders, which stay upright."""
    canvas.place(face.x * 0.6, 0.0, 0.0, 1.0)
    canvas.oval(0, 1.26, 0.84, 0.52, face.shirt)
    shade = mixed(face.skin, _INK, 0.18)
    canvas.fill(np.array([[-0.18, 0.3], [0.18, 0.3], [0.21, 0.82], [-0.21, 0.82]]), shade)
    canvas.oval(0, 0.82, 0.21, 0.1, shade)


def _back_hair(canvas: Canvas, face: Face) -> None:
    """Hair behind the head."""
    dark = mixed(face.hair, (0, 0, 0), 0.18)
    match face.style:
        case "long":
            canvas.oval(0, -0.1, face.width * 1.2, 1.06, dark)
            low = [[1.2, -0.1], [1.3, 1.25], [0, 1.15], [-1.3, 1.25], [-1.2, -0.1]]
            canvas.fill(_smooth(np.array(low)) * [face.width, 1], dark)
        case "bun":
            canvas.oval(-0.25 * face.turn, -1.15, 0.36, 0.34, dark)
        case "curly":
            for angle in range(150, 391, 24):
                x, y = arc(0, -0.12, face.width * 1.02, 0.92, angle, angle)[0]
                canvas.oval(x, y, 0.32, 0.32, dark)
        case _:
            pass


def _head(canvas: Canvas, face: Face) -> None:
    shade = mixed(face.skin, _INK, 0.18)
    for side in (-1, 1):
        x = side * face.width * 0.98 - 0.05 * face.turn
        canvas.oval(x, 0.02, 0.14, 0.2, face.skin)
        canvas.oval(x, 0.02, 0.07, 0.12, shade)
    canvas.fill(_outline(face), face.skin)
    pink = mixed(face.skin, (0.93, 0.35, 0.35), 0.32 * face.blush)
    for side in (-1, 1):
        canvas.oval(_middle(face) + side * (face.eye_distance + 0.1), 0.26, 0.15, 0.11, pink)


def _eye(canvas: Canvas, face: Face, side: int) -> None:
    x, y, r = _middle(face) + side * face.eye_distance, -0.1, face.eye
    canvas.oval(x, y, r + 0.025, r * 1.1 + 0.025, mixed(face.skin, _INK, 0.55))
    canvas.oval(x, y, r, r * 1.1, _WHITE)
    px, py = x + 0.36 * r * face.gaze[0], y + 0.36 * r * face.gaze[1]
    canvas.oval(px, py, 0.62 * r, 0.62 * r, face.iris)
    canvas.oval(px, py, 0.36 * r, 0.36 * r, _INK)
    canvas.oval(px - 0.22 * r, py - 0.24 * r, 0.17 * r, 0.17 * r, _WHITE)


def _nose_and_mouth(canvas: Canvas, face: Face) -> None:
    middle = _middle(face) * 1.35
    shade = mixed(face.skin, _INK, 0.28)
    canvas.line(bend(middle, 0.2, 0.16, 0.06), 0.055, shade)
    lips = mixed(mixed(face.skin, (0.8, 0.2, 0.25), 0.7), _INK, 0.35 * face.skin[1])
    sag = 0.26 * face.mouth
    upper = bend(middle, 0.52, face.mouth_width, sag)
    if face.open:
        lower = bend(middle, 0.52, face.mouth_width, sag)
        lower[:, 1] += face.open * (1 - np.linspace(-1, 1, len(lower)) ** 2)
        canvas.fill(np.concatenate([upper, lower[::-1]]), (0.4, 0.08, 0.12))
        teeth = upper + [0, 0.35 * face.open] * (1 - np.linspace(-1, 1, len(upper))[:, None] ** 2)
        canvas.fill(np.concatenate([upper, teeth[::-1]]), _WHITE)
        canvas.line(lower, 0.05, lips)
    canvas.line(upper, 0.06, lips)


def _front_hair(canvas: Canvas, face: Face) -> None:
    """The hair on the head: from its outline down to a hairline."""
    if face.style == "bald":
        return
    w, lean = face.width, 0.13 * face.turn
    lines: dict[Style, list[list[float]]] = {
        "short": [[0.95, -0.3], [0.72, -0.52], [0.3, -0.62], [-0.3, -0.62], [-0.72, -0.52]],
        "fringe": [[1.0, 0.0], [0.82, -0.36], [0.4, -0.33], [-0.4, -0.33], [-0.82, -0.36]],
        "parted": [[0.98, -0.05], [0.75, -0.34], [0.1, -0.6], [-0.35, -0.82], [-0.75, -0.5]],
        "spiky": [[0.9, -0.36], [0.6, -0.6], [0.1, -0.66], [-0.2, -0.6], [-0.6, -0.62]],
        "long": [[1.02, 0.1], [0.86, -0.25], [0.45, -0.6], [0.0, -0.82], [-0.45, -0.6]],
        "bun": [[0.98, -0.2], [0.7, -0.55], [0.25, -0.72], [-0.25, -0.72], [-0.7, -0.55]],
        "curly": [[0.95, -0.3], [0.6, -0.55], [0.2, -0.62], [-0.2, -0.62], [-0.6, -0.55]],
        "bald": [],
    }
    line = np.array(lines[face.style])
    line = np.concatenate([line, line[:1] * [-1, 1]])
    inner = np.abs(line[:, :1]) < 0.9
    line = line * [w, 1] + inner * [lean, 0]
    cap = _outline(face, 180, 360, 1.05)
    if face.style == "spiky":
        cap = cap[np.linspace(0, len(cap) - 1, 13).round().astype(int)]
        cap[1::2] *= 1.22
    canvas.fill(np.concatenate([cap, _smooth(line)]), face.hair)
    if face.style == "curly":
        for x in np.linspace(-0.72, 0.72, 6):
            y = -0.62 - 0.16 * (1 - x**2)
            canvas.oval(x * w + lean * 0.5, y, 0.24, 0.22, face.hair)


def _glasses(canvas: Canvas, face: Face, roundness: float, colour: Colour) -> None:
    """Two frames, from square to round, a bridge and the temples."""
    middle, y, r = _middle(face), -0.08, 0.27
    for side in (-1, 1):
        circle = arc(0, 0, 1, 1)
        frame = np.sign(circle) * np.abs(circle) ** (0.45 + 0.55 * roundness)
        canvas.line(frame * [r * 1.05, r] + [middle + side * face.eye_distance, y], 0.055, colour)
        outer = middle + side * (face.eye_distance + r * 1.05)
        ear = side * face.width
        canvas.line(np.array([[outer, y - 0.03], [ear, y - 0.06]]), 0.055, colour)
    canvas.line(bend(middle, y - 0.04, 2 * (face.eye_distance - r), -0.06), 0.055, colour)


def _smooth(points: Points) -> Points:
    """Corners cut three times (Chaikin), the ends kept."""
    for _ in range(3):
        first, second = points[:-1], points[1:]
        cut = np.stack([0.75 * first + 0.25 * second, 0.25 * first + 0.75 * second], 1)
        points = np.concatenate([points[:1], cut.reshape(-1, 2), points[-1:]])
    return points
