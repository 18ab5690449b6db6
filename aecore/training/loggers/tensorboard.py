"""TensorBoard's event files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from torch.nn.functional import interpolate, pad
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from aecore.config.component import NonNegativeInt, component
from aecore.evaluation.figures.grid import displayable, one_line
from aecore.evaluation.figures.latent import project
from aecore.runs.files import checked, remove_tree
from aecore.runs.folder import numbered
from aecore.training.loggers.base import BINS, FLUSH_SECONDS, RunLogger, finite

_POINTS, _DIMS, _SPRITE = 2000, 128, 32  # of the projector: points, dimensions, thumbnail side
_SPLITS = ("train", "val")


class TensorBoard(RunLogger):
    """TensorBoard events in `folder/tensorboard`.

    `train/TERM` and `val/TERM` are written as `TERM` into the sub-folders `train` and `val`, so
    TensorBoard draws both as lines of one chart. `test/...` and the hyperparameters go into the
    sub-folder `test`: its scalars, and no others, are the columns of the HParams table.
    """

    takes_images = True

    @component
    def __init__(self, *, folder: Path, purge_step: NonNegativeInt | None) -> None:
        super().__init__(folder, purge_step)
        self._writers: dict[str, SummaryWriter] = {}

    def commands(self, output_dir: str) -> list[tuple[str, str]]:
        """TensorBoard, on the folder of all runs where this is one of them."""
        if not (self.folder / "tensorboard").is_dir():
            return []
        inside = self.folder.absolute().is_relative_to(Path(output_dir).absolute())
        shown = output_dir if inside else str(self.folder)
        return [("TensorBoard", f"tensorboard --logdir {shlex.quote(shown)}")]

    def _writer(self, part: str = "") -> SummaryWriter:
        if self._purge_step is not None:
            step, self._purge_step = self._purge_step, None
            remove_tree(self.folder / "tensorboard" / "test")  # all of it is written again
            self._writers = {name: self._opened(name, step) for name in ("", *_SPLITS)}
        if part not in self._writers:
            self._writers[part] = self._opened(part)
        return self._writers[part]

    def _opened(self, part: str, purge_step: int | None = None) -> SummaryWriter:
        place = checked(self.folder / "tensorboard" / part)
        return SummaryWriter(str(place), purge_step=purge_step, flush_secs=FLUSH_SECONDS)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write scalars, the two splits of a term on one chart; Lightning's `epoch` is left out."""
        for key, value in metrics.items():
            split, _, term = key.partition("/")
            if split in _SPLITS and term:
                self._writer(split).add_scalar(term, value, step)
            elif split == "test":
                self._writer("test").add_scalar(key, value, step, new_style=True)
            elif key != "epoch":
                self._writer().add_scalar(key, value, step)

    def image(self, tag: str, grid: Tensor, step: int) -> None:
        """Log one image (1|3, H, W), pixels in [0, 1]."""
        self._writer().add_image(tag, grid.detach().float().cpu().clamp(0, 1), step)

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Write the distribution of values of any shape; those that are not finite are left out."""
        if len(kept := finite(values)):
            self._writer().add_histogram(tag, kept, step, bins=BINS)

    def embedding(
        self, codes: Tensor, labels: list[str] | None, images: Tensor | None, step: int
    ) -> None:
        """Write codes for the projector, at most 2000; the last call counts.

        codes: (N, D); of more than 128 dimensions the principal components are kept.
        labels: N class names. images: thumbnails (N, C, H, W); None for plain points.
        """
        codes = codes[:_POINTS].detach().float().cpu()
        if codes.shape[1] > _DIMS:
            codes, _ = project(codes, _DIMS)
        if codes.shape[1] < 3:  # the projector draws three dimensions
            codes = pad(codes, (0, 3 - codes.shape[1]))
        # SummaryWriter warns of a folder that exists, and files of an earlier call might stay
        remove_tree(self.folder / "tensorboard" / f"{step:05d}" / "code")
        checked(self.folder / "tensorboard" / "projector_config.pbtxt")
        self._writer().add_embedding(
            codes,
            None if labels is None else [one_line(label) for label in labels[:_POINTS]],
            None if images is None else _sprites(images[:_POINTS]),
            global_step=step,
            tag="code",
        )
        self._writers.pop("").close()  # one that is open would list this again beside the next

    def hparams(self, parameters: Mapping[str, object]) -> None:
        """Write the hyperparameters into the HParams table.

        Numbers and text stay, None is left out, all else becomes text. Every run's parameters
        appear in the table, also those that other runs do not have.
        """
        scalars = {key: _scalar(value) for key, value in parameters.items()}
        # Without the experiment record: TensorBoard would take one run's columns for all runs.
        _, start, _ = hparams(scalars, {})  # type: ignore[no-untyped-call]
        self._writer("test")._get_file_writer().add_summary(start, 0)  # type: ignore[no-untyped-call]

    def results(self, metrics: Mapping[str, float]) -> None:
        """Write the test metrics into the HParams table and mark the run as finished there.

        Without what is one of a series, which would be a column each.
        """
        writer = self._writer("test")
        for key, value in metrics.items():
            if not numbered(key):
                writer.add_scalar(key, value, 0, new_style=True)
        _, _, end = hparams({}, {})  # type: ignore[no-untyped-call]
        writer._get_file_writer().add_summary(end, 0)  # type: ignore[no-untyped-call]

    def save(self) -> None:
        """Write to disk what is still in memory."""
        for writer in self._writers.values():
            writer.flush()

    def finalize(self, status: str) -> None:
        """Close the files and end their threads; a later call opens new files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _scalar(value: object) -> object:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sprites(images: Tensor) -> Tensor:
    """Square thumbnails (N, 1|3, S, S) of any images: TensorBoard takes no others."""
    images = displayable(images)[:, :3]
    height, width = images.shape[-2:]
    extra_w, extra_h = max(0, height - width), max(0, width - height)
    images = pad(images, (extra_w // 2, extra_w - extra_w // 2, extra_h // 2,
                          extra_h - extra_h // 2))  # fmt: skip
    side = images.shape[-1]
    return interpolate(images, (_SPRITE, _SPRITE), mode="area") if side > _SPRITE else images
