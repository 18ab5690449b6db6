"""Grids of images without interpolation; pure functions from arrays to a Figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.utils import make_grid

from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.figures.series import line_pictures
from aecore.types import is_series

INK, QUIET, ACCENT = "#222222", "#777777", "#d1495b"
DPI = 100
_CELL = 96  # maximum side of an image, in pixels of the figure
_LETTER, _FEWEST = 5.5, 8  # width of a letter of a caption in pixels, letters that always fit
_PIXELS = 300_000  # of all images on a page, at most: a PNG of photographs stays below 300 KB or so


def new_figure(width: float, height: float, *, constrained: bool = False) -> Figure:
    """An empty figure that is not registered in pyplot; sizes in inches."""
    figure = Figure((width, height), DPI, layout="constrained" if constrained else None)
    FigureCanvasAgg(figure)
    return figure


class Page:
    """A figure whose parts are placed in pixels from its top left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = new_figure(width / DPI, height / DPI)

    def title(self, left: float, text: str) -> None:
        """Write the title of the figure at the top."""
        x, y = left / self.width, 1 - 10 / self.height
        self.figure.text(x, y, text, size=11, color=INK, va="top")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Empty Axes of this size."""
        bottom = self.height - top - height
        sides = left / self.width, bottom / self.height, width / self.width, height / self.height
        return self.figure.add_axes(sides)

    def picture(self, left: float, top: float, pixels: Tensor, zoom: int = 1) -> Axes:
        """An image (C, H, W), each pixel `zoom` wide."""
        height, width = pixels.shape[1:]
        axes = self.axes(left, top, zoom * width, zoom * height)
        axes.set_axis_off()
        axes.imshow(pixels.movedim(0, -1).numpy(), interpolation="nearest", aspect="auto")
        return axes

    def bar(self, scale: Scale, left: float, top: float, height: float) -> None:
        """The bar of a colour scale."""
        axes = self.axes(left, top, 11, height)
        self.figure.colorbar(ScalarMappable(scale.norm, scale.colour_map), cax=axes)
        axes.tick_params(labelsize=7, colors=QUIET, length=2)
        axes.set_ylabel(scale.label, size=8, color=QUIET)
        axes.spines[:].set_visible(False)


def displayable(images: Tensor) -> Tensor:
    """Pixels that can be shown: (..., C, H, W) -> (..., 1|3|4, H, W) in [0, 1] on the CPU.

    1, 3 and 4 channels are grey, RGB and RGBA; of any other number the first is shown. Series
    become pictures of lines.
    """
    images = images.detach().float().cpu().nan_to_num().clamp(0, 1)
    if is_series(images.shape[-3:]):
        pictures = line_pictures(images.reshape(-1, *images.shape[-3:]))
        return pictures.view(*images.shape[:-3], *pictures.shape[1:])
    return images if images.shape[-3] in (1, 3, 4) else images[..., :1, :, :]


def levels(images: Tensor) -> Tensor:
    """Pixels that can be shown, in 256 levels: uint8."""
    return (displayable(images) * 255).round().to(torch.uint8)


def strip(images: Tensor, gap: int) -> Tensor:
    """Images side by side, `gap` white pixels between: (N, C, H, W) -> (3|4, H, N*(W+gap)-gap)."""
    row: Tensor = make_grid(displayable(images), nrow=len(images), padding=gap, pad_value=1.0)
    return row[:, gap : row.shape[1] - gap, gap : row.shape[2] - gap] if gap else row


def _to_cell(images: Tensor, count: int) -> tuple[Tensor, int]:
    """Images reduced so that `count` fit on a page, and the integer enlargement of a pixel."""
    side = max(images.shape[-2:])
    limit = min(_CELL, int((_PIXELS / count) ** 0.5))
    if side <= limit:
        return images, _CELL // side
    height, width = (max(1, round(n * limit / side)) for n in images.shape[-2:])
    return interpolate(images, (height, width), mode="area"), 1


def image_grid(
    rows: Sequence[Tensor],
    *,
    title: str,
    labels: Sequence[str] = (),
    heads: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    framed: Sequence[int] = (),
    gaps: Sequence[int] = (),
    scale: Scale | None = None,
) -> Figure:
    """Rows of images, one Axes per row; pixels are enlarged by an integer, so nothing is blurred.

    rows: R tensors (N, C, H, W) with pixels in [0, 1], all of one shape.
    labels: R texts at the left of the rows.
    heads: N texts above the columns.
    captions: R times N texts under the images, or an empty sequence for a row without; names of
        files among them may hold anything, and are shown in one line, their ends where they are
        wider than an image.
    framed: the columns to mark.
    gaps: the rows after which a new block begins.
    scale: of colours, whose bar is drawn beside the rows.
    """
    total = sum(len(row) for row in rows)
    cells, zooms = zip(*(_to_cell(displayable(row), total) for row in rows), strict=True)
    zoom, (count, _, height, width) = zooms[0], cells[0].shape
    gap = max(1, round(4 / zoom))
    page_w, row_h = zoom * (count * (width + gap) - gap), zoom * height
    widest = max((len(line) for text in labels for line in text.split("\n")), default=0)
    left = 14 + (8 + 7 * widest if widest else 0)
    under = [15 if any(texts) else 0 for texts in captions] or [0] * len(rows)
    after = [u + (14 if i in gaps else gap * zoom) for i, u in enumerate(under)]
    top = 34 + (16 if heads else 0)
    bottom = top + row_h * len(rows) + sum(after)
    page = Page(max(left + page_w + 14, left + 14 + 8 * len(title)) + _bar_width(scale), bottom + 8)
    page.title(left, title)
    y = top
    for i, images in enumerate(cells):
        axes = page.picture(left, y, strip(images, gap), zoom)
        letters = max(round(zoom * (width + gap) / _LETTER), _FEWEST)
        texts = [shortened(text, letters) for text in captions[i]] if captions else ()
        _annotate(axes, images, gap, texts, framed)
        if labels:
            axes.text(-8 / page_w, 0.5, labels[i], size=9, color=QUIET, ha="right", va="center",
                      transform=axes.transAxes)  # fmt: skip
        for n, text in enumerate(heads if i == 0 else ()):
            x = n * (width + gap) + width / 2 - 0.5
            axes.text(x, -0.5 - 4 / zoom, text, size=8, color=QUIET, ha="center", va="bottom")
        y += row_h + after[i]
    if scale is not None:
        page.bar(scale, left + page_w + 15, top, y - after[-1] - top)
    return page.figure


def _bar_width(scale: Scale | None) -> int:
    """Pixels at the right of a page for the bar of a scale."""
    return 0 if scale is None else 95 if scale.label else 75


def _annotate(
    axes: Axes, images: Tensor, gap: int, captions: Sequence[str], framed: Sequence[int]
) -> None:
    """Captions and frames of a row of images (N, C, H, W)."""
    height, width = images.shape[-2:]
    for n, text in enumerate(captions):
        x = n * (width + gap) + width / 2 - 0.5
        axes.annotate(one_line(text), (x, height - 0.5), (0, -2), textcoords="offset points",
                      size=7, color=QUIET, ha="center", va="top", annotation_clip=False,
                      parse_math=False)  # fmt: skip
    for n in framed:
        corner = (n * (width + gap) - 0.5, -0.5)
        axes.add_patch(Rectangle(corner, width, height, fill=False, ec=ACCENT, lw=2, clip_on=False))


def block_grid(
    kinds: Mapping[str, tuple[Tensor, Sequence[str]]],
    columns: int,
    title: str,
    scale: Scale | None = None,
) -> Figure:
    """Images, kind below kind, in blocks of so many columns.

    kinds: by their labels, images (N, C, H, W) and their captions, N or none. What does not fill a
        last block is left out.
    scale: of colours, whose bar is drawn beside them.
    """
    rows, captions = [], []
    count = len(next(iter(kinds.values()))[0])
    for block in range(0, count - count % columns or count, columns):
        for images, texts in kinds.values():
            rows.append(images[block : block + columns])
            captions.append(texts[block : block + columns])
    labels = [*kinds] * (len(rows) // len(kinds))
    gaps = range(len(kinds) - 1, len(rows), len(kinds))
    return image_grid(rows, title=title, labels=labels, captions=captions, gaps=gaps, scale=scale)


def one_line(text: str) -> str:
    """A text with a space for each character that no line can show, such as a line break."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def shortened(text: str, letters: int) -> str:
    """The end of a text, which distinguishes the files of a folder."""
    return text if len(text) <= letters else f"…{text[1 - letters :]}"


def tile(rows: Sequence[Tensor]) -> Tensor:
    """R rows of (N, C, H, W) as one image for a logger: (3, H', W'), RGBA without its alpha."""
    images = torch.cat([displayable(row) for row in rows])
    picture: Tensor = make_grid(images, nrow=len(rows[0]), padding=1, pad_value=1.0)
    return picture[:3]
