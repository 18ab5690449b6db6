"""A table of numbers from a .csv file, whose columns have names."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from aecore.config.overrides import as_override
from aecore.data.sources.csv_file import Cells, CsvFile, is_missing
from aecore.data.sources.numpy_file import PATH, located
from aecore.data.sources.unsplit import Unsplit
from aecore.data.split import Split, to_float
from aecore.errors import ConfigError, nearest

log = logging.getLogger("aecore")

Column = str | int  # a name, or the number of a column without one
_COLUMNS, _LABELS = "dataset.columns", "dataset.labels"
_LISTED = 80  # characters of the names of columns


@final
class Csv(Unsplit):
    """A table (N, D) from a .csv file: a header, and rows of numbers.

    Cells are separated by commas, semicolons, tabs or bars, and may be quoted. Without a header,
    where the first row holds numbers alone, columns are called 0, 1, ... Text, missing and infinite
    cells are refused. A fixed part of the rows is for testing.

    path: the file; None is refused by `load`. columns: those to use, in order, by name; None for
    all but the labels and an unnamed first one that counts the rows. labels: a column of whole
    numbers or of text, whose different cells, sorted, are then the classes 0, 1, ...
    """

    path: str | None
    columns: Annotated[list[Column], Field(min_length=1)] | None = None
    labels: Column | None = None

    @override
    def rows(self) -> Split:
        return self._table

    @cached_property
    def _table(self) -> Split:
        """Every row; what is left out, guessed or constant is said when it is read."""
        if self.path is None:
            raise ConfigError(PATH, None, "which file is to be read?", {PATH: "/a/file.csv"})
        hint = "dataset=arrays reads a .npz or .npy"
        file = CsvFile(located(self.path, (".csv", ".tsv", ".txt"), hint))
        labels = None if self.labels is None else self._place(file, self.labels, _LABELS)
        if not file.has_header:
            self._say("no header, its columns are 0, 1, ...")
        wanted = self._wanted(file, labels)
        cells = file.read(wanted, labels)
        numbers, counts = cells.numbers, self.columns is None and _counts_rows(file, cells)
        if counts:
            self._say("not used: the first column, which has no name and counts the rows")
            numbers, wanted = numbers[:, 1:], wanted[1:]
        self._check(file, wanted, numbers, cells.text)
        names = [file.names[place] for place in wanted]
        self._say_constant(names, numbers)
        shown = ", ".join(names)
        self.note = f"columns {shown if len(shown) <= _LISTED else f'{shown[:_LISTED]}...'}"
        self.note += ", decimal commas" if cells.decimal_commas else ""
        images = to_float(torch.from_numpy(numbers.copy())[:, None, None, :])
        if labels is None:
            return Split(images, columns=tuple(names))
        y, classes = self._classes(cells.labels)
        return Split(images, y, class_names=classes, columns=tuple(names))

    def _wanted(self, file: CsvFile, labels: int | None) -> list[int]:
        """The places of the columns to use; names those that are not, where some were chosen."""
        if self.columns is None:
            return [place for place in range(len(file.names)) if place != labels]
        wanted = [self._place(file, column, _COLUMNS) for column in self.columns]
        twice = {file.names[place] for place in wanted if wanted.count(place) > 1}
        if twice:
            raise ConfigError(_COLUMNS, self.columns, f"{', '.join(twice)} stands there twice")
        unused = [name for n, name in enumerate(file.names) if n not in (*wanted, labels)]
        if any(unused):
            self._say(f"not used: {', '.join(filter(None, unused))}")
        return wanted

    def _place(self, file: CsvFile, column: Column, key: str) -> int:
        """Where a column is; ConfigError where there is none, or more than one, of that name."""
        name, value = str(column).strip(), ... if key == _COLUMNS else column
        places = [place for place, known in enumerate(file.names) if known == name]
        if len(places) == 1:
            return places[0]
        if places:
            raise ConfigError(key, value, f"{file.path} has {len(places)} columns {name!r}")
        header = "" if file.has_header else ", which has no header,"
        problem = f"{file.path}{header} has no column {name!r}{nearest(name, file.names)}"
        none = "; dataset.labels=null for no labels" if key == _LABELS else ""
        raise ConfigError(key, value, problem, f"its columns: {', '.join(file.names)}{none}")

    def _check(
        self,
        file: CsvFile,
        wanted: Sequence[int],
        numbers: NDArray[np.float64],
        text: Mapping[int, tuple[str, int]],
    ) -> None:
        """Raise ConfigError for names that do not differ, and cells that are no finite number."""
        names = [file.names[place] for place in wanted]
        if "" in names:
            problem = f"column {wanted[names.index('')] + 1} has no name"
            hint = f"name it, or {_chosen([*filter(None, names)])}"
            raise ConfigError(PATH, file.path, problem, hint)
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            problem = f"several columns are called {', '.join(sorted(twice))}"
            raise ConfigError(PATH, file.path, problem, "names must differ")
        kept = [name for name, place in zip(names, wanted, strict=True) if place not in text]
        if text:
            first = {file.names[n]: f"{cell!r} in line {line}" for n, (cell, line) in text.items()}
            listed = ", ".join(f"{name} ({where})" for name, where in first.items())
            problem = f"columns of text: {listed}"
            cells, few = min((file.distinct(place), place) for place in text)
            labels = shlex.quote(as_override(_LABELS, file.names[few]))
            classes = f"; {labels} makes classes of it" if cells < len(numbers) else ""
            raise ConfigError(PATH, file.path, problem, _chosen(kept) + classes)
        for kind, bad in (("missing", np.isnan(numbers)), ("infinite", np.isinf(numbers))):
            counts = dict(zip(names, bad.sum(0).tolist(), strict=True))
            some = {name: count for name, count in counts.items() if count}
            if some:
                listed = ", ".join(f"{name} ({count:,})" for name, count in some.items())
                hint = "fill these cells, or leave their rows out"
                kept = [name for name in names if name not in some]
                hint += f"; {_chosen(kept)}" if kept else ""
                raise ConfigError(PATH, file.path, f"{kind} cells: {listed}", hint)

    def _say_constant(self, names: Sequence[str], numbers: NDArray[np.float64]) -> None:
        constant = np.ptp(numbers, axis=0) == 0
        if constant.any():
            listed = (name for name, same in zip(names, constant, strict=True) if same)
            self._say(f"constant columns: {', '.join(listed)}")

    def _classes(self, cells: Sequence[str]) -> tuple[Tensor, tuple[str, ...] | None]:
        """(N,) int64 and the names of classes, None where the cells are numbers."""
        missing = sum(map(is_missing, cells))
        if missing:
            raise ConfigError(_LABELS, self.labels, f"{missing:,} cells are missing")
        try:
            numbers = np.array(cells, dtype=np.float64)
        except ValueError:
            classes, labels = np.unique(cells, return_inverse=True)
            return torch.from_numpy(labels), tuple(classes.tolist())
        whole = (numbers == np.trunc(numbers)) & (np.abs(numbers) < 2**53)
        if not whole.all():
            problem = f"holds {cells[int(np.argmin(whole))]}; labels must be whole numbers or text"
            raise ConfigError(_LABELS, self.labels, problem)
        return torch.from_numpy(numbers.astype(np.int64)), None

    def _say(self, what: str) -> None:
        log.warning("dataset.path=%s: %s", self.path, what)


def _counts_rows(file: CsvFile, cells: Cells) -> bool:
    """Whether the first column has no name and holds 0, 1, ... or 1, 2, ..., as of pandas."""
    if file.names[0] != "" or cells.numbers.shape[1] < 2:
        return False
    rows = np.arange(len(cells.numbers))
    return any(np.array_equal(cells.numbers[:, 0], rows + first) for first in (0, 1))


def _chosen(names: Sequence[str]) -> str:
    """How these columns alone are used."""
    if not names:
        return "there are no other columns"
    return f"{shlex.quote(as_override(_COLUMNS, list(names)))} leaves them out"
