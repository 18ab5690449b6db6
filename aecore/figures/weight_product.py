"""What a linear model does to an image, as one matrix."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import interpolate

from aecore.autoencoder import Autoencoder
from aecore.figures.grid import DPI, INK, QUIET, new_figure
from aecore.figures.heat import add_bar, colour_map
from aecore.figures.layers import leaves
from aecore.figures.view import NotApplicable, Picture, View
from aecore.words import Probability, word

_LINEAR = (
    nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.AvgPool2d, nn.Flatten, nn.Unflatten, nn.Identity,
    nn.Dropout, nn.Dropout2d, nn.Sequential,
)  # fmt: skip
_LARGEST = 4096  # pixels: a matrix of 64 MB
_SIDE = 600  # dots: of the heat map, about


class WeightProduct(Picture):
    """The product P of all weight matrices of a linear model, decoder times encoder.

    The model maps an image x to P x + c, in its own range. A perfect one has P v = v for every
    direction v in which images differ. The title says how far it is from that:
    ||(P - I) V||_F / ||V||_F, where the columns of V are the leading principal components of the
    test images, as many as explain `explained` of their variance.
    """

    @word
    def __init__(self, *, explained: Probability) -> None:
        self.explained = explained

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; raises NotApplicable for a model that is not linear, or too large."""
        need_linear(view)
        matrix = product(view.model)
        components = principal_space(view.model.normalise(view.images), self.explained)
        count = components.shape[1]
        title = (
            f"Decoder times encoder, {distance(matrix, components):.3f} from the identity\n"
            f"on the {count} of {len(matrix)} dimensions with {100 * self.explained:g} % "
            "of the variance"
        )
        return heat_map(matrix, title)


def need_linear(view: View) -> None:
    """Raise NotApplicable unless the model is a product of matrices (plus a constant)."""
    model, pixels = view.model, view.images[0].numel()
    if model.needs_context:
        raise NotApplicable("the model is not linear: it pools maxima")
    for part in (model.encoder, model.latent, model.decoder):
        for leaf in leaves(part):
            if not isinstance(leaf, _LINEAR):
                name = type(leaf).__name__
                raise NotApplicable(f"the model is no product of matrices: it has {name}")
    if pixels > _LARGEST:
        raise NotApplicable(f"images of {pixels} pixels: the matrix would be too large to show")
    x = model.normalise(view.images[:64])
    y = x.flip(0)
    one, other, middle = (_through(model, part) for part in (x, y, (x + y) / 2))
    error = (middle - (one + other) / 2).abs().max()
    if error > 1e-3 * max(1.0, float(one.abs().max())):
        raise NotApplicable(
            "the model is not linear: its matrices are, but not what its reconstruction makes of "
            "their output"
        )


def _through(model: Autoencoder, x: Tensor) -> Tensor:
    """Images in the model's range -> their reconstructions, there as well."""
    h, _ = model.features(model.reconstruction.expected(x))
    mean = model.latent(h, None, False).mean
    output: Tensor = model.decoder(mean)
    image: Tensor = model.reconstruction.image(output)
    return image


def product(model: Autoencoder) -> Tensor:
    """The matrix (D, D) of a linear model of D pixels, on the CPU; the constant is left out."""
    pixels = model.image_shape[0] * model.image_shape[1] * model.image_shape[2]
    units = torch.eye(pixels, device=model.shift.device).reshape(-1, *model.image_shape)
    constant = _through(model, torch.zeros_like(units[:1]))
    columns = [(_through(model, part) - constant).flatten(1) for part in torch.split(units, 512)]
    matrix: Tensor = torch.cat(columns).T.float().cpu()
    return matrix


def principal_space(x: Tensor, explained: float) -> Tensor:
    """The fewest leading principal components that explain that share: (D, K), orthonormal.

    x: (N, C, H, W). Raises NotApplicable where the images do not differ.
    """
    rows = x.flatten(1).double().cpu()
    rows = rows - rows.mean(0)
    values, vectors = torch.linalg.eigh(rows.T @ rows)
    values = values.flip(0).clamp_min(0)
    if not values.any():
        raise NotApplicable("the images do not differ")
    shares = values.cumsum(0) / values.sum()
    count = min(int((shares < explained).sum()) + 1, len(values))
    space: Tensor = vectors.flip(1)[:, :count]
    return space


def distance(matrix: Tensor, components: Tensor) -> float:
    """||(P - I) V||_F / ||V||_F of P (D, D) and V (D, K)."""
    moved = matrix.double() @ components - components
    return float(moved.norm() / components.norm())


def heat_map(matrix: Tensor, title: str) -> Figure:
    """A square matrix, every entry a whole number of dots; a large one is averaged."""
    size, limit = len(matrix), max(float(matrix.abs().max()), 1e-12)
    shown = matrix
    if size > 1.5 * _SIDE:
        shown = interpolate(matrix[None, None], (_SIDE, _SIDE), mode="area")[0, 0]
    dots = len(shown) * max(1, _SIDE // len(shown))
    width, height = dots + 70, dots + 98
    figure = new_figure(width / DPI, height / DPI)
    figure.text(56 / width, 1 - 10 / height, title, size=11, color=INK, va="top")
    axes = figure.add_axes((56 / width, 46 / height, dots / width, dots / height))
    extent = (-0.5, size - 0.5, size - 0.5, -0.5)
    axes.imshow(shown.numpy(), colour_map(True), vmin=-limit, vmax=limit,
                interpolation="nearest", aspect="auto", extent=extent)  # fmt: skip
    axes.set_xlabel("pixel of the input", size=9, color=QUIET)
    axes.set_ylabel("pixel of the output", size=9, color=QUIET)
    axes.tick_params(labelsize=8, colors=QUIET)
    for spine in axes.spines.values():
        spine.set_color("#cccccc")
    return add_bar(figure, limit, signed=True)
