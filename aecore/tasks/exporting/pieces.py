"""The exported parts of a model, with reference outputs."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aecore.model.autoencoder import Autoencoder

_NUDGE = 1e-6  # a change of a pixel just above the rounding of single precision
_JUMP = 1000  # times that is no slope any more


class _Part(nn.Module):
    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model


class Encoder(_Part):
    """Pixels to mean codes."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, C, H, W), and (N,) of a conditional model -> (N, *code_shape)."""
        return self.model.encode(images, y=labels).mean


class Decoder(_Part):
    """Codes to mean images."""

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, *code_shape), and (N,) of a conditional model -> (N, C, H, W)."""
        return self.model.decode(codes, self.model.label_context(labels))


class Whole(_Part):
    """Pixels to their reconstructions."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, C, H, W), and (N,) of a conditional model -> (N, C, H, W)."""
        return self.model.reconstruct(images, labels)


@dataclass(frozen=True)
class Piece:
    """A part of a model in a separate file, with its reference outputs.

    name: of its files. takes: the names of its inputs. makes: that of its output.
    inputs: real ones, each (N, ...). wanted: the outputs of the original, (N, ...).
    between: (N,) bool, which of them lie between two answers; see `undecided`.
    """

    name: str
    module: nn.Module
    takes: tuple[str, ...]
    makes: str
    inputs: tuple[Tensor, ...]
    wanted: Tensor
    between: Tensor


def on_cpu(model: Autoencoder) -> Autoencoder:
    """A copy of the model on the CPU that is fixed: in evaluation mode, without gradients."""
    return deepcopy(model).cpu().eval().requires_grad_(False)


def pieces(model: Autoencoder, images: Tensor, labels: Tensor | None) -> list[Piece]:
    """Encoder, decoder and whole; the whole alone where something else passes by the code.

    model: as `on_cpu` gives it; its weights are laid out anew. images: pixels (N, C, H, W), with
    labels (N,) for a conditional model.
    """
    given = () if model.classes is None or labels is None else (labels,)
    label_inputs = ("labels",) * len(given)
    codes, made = model.encode(images, y=labels).mean, model.reconstruct(images, labels)
    decoded = made if model.needs_context else model.decode(codes, model.label_context(labels))
    between = undecided(model, images, labels)
    model.to(memory_format=torch.contiguous_format)
    seen, kept = (images, *given), (codes, *given)
    takes = ("images", *label_inputs)
    whole = Piece("autoencoder", Whole(model), takes, "reconstructions", seen, made, between)
    if model.needs_context:
        return [whole]
    plain = torch.zeros_like(between)
    return [
        Piece("encoder", Encoder(model), takes, "codes", seen, codes, between),
        Piece("decoder", Decoder(model), ("codes", *label_inputs), "images", kept, decoded, plain),
        whole,
    ]


def undecided(model: Autoencoder, images: Tensor, labels: Tensor | None) -> Tensor:
    """Which images (N, C, H, W) lie between two answers, (N,) bool.

    Such as two codebook entries at equal distance: there the last digit decides, and each program
    rounds in a way of its own. Found by moving pixels by hardly more than what is rounded.
    """
    moved = images + _NUDGE * (1 - 2 * images)
    between = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    for part in (Encoder(model), Whole(model)):
        here, there = (part(x, labels).flatten(1) for x in (images, moved))
        size = here.abs().amax().clamp_min(1)
        between |= (there - here).abs().amax(1) > _JUMP * _NUDGE * size
    return between
