"""The cells of a .csv file: its separator, its header and its numbers."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aecore.data.sources.numpy_file import PATH
from aecore.errors import ConfigError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})  # cells, in small letters
_SEPARATORS = "\t;|"  # beside the comma
_LOOKED_AT = 20  # lines, to find the separator


@dataclass(frozen=True)
class Cells:
    """The numbers of some columns, and the text of one.

    numbers: (N, D) float64, NaN where a cell holds none. text: of each column with cells that are
    neither a number nor missing, the first of these and its line. labels: the N cells of a column.
    decimal_commas: whether numbers are written as 3,14.
    """

    numbers: NDArray[np.float64]
    text: dict[int, tuple[str, int]]
    labels: list[str]
    decimal_commas: bool


class CsvFile:
    """A file of one header row, or none, and rows of as many cells each.

    path: absolute. separator: a comma, or else the tab, semicolon or bar that most lines share.
    names: of the columns, in order; 0, 1, ... without a header. has_header: whether the first row
    holds anything but numbers.
    """

    def __init__(self, path: Path) -> None:
        """Reads the first lines; raises ConfigError where there are none."""
        self.path = path
        self.separator = next(filter(self._is_shared, _SEPARATORS), ",")
        first = next(self._rows(), None)
        if first is None:
            raise ConfigError(PATH, path, "is empty")
        number, (_, cells) = Number(self.separator), first
        known = [number.read(cell) for cell in cells if not is_missing(cell)]
        self.has_header = not known or None in known
        named = [cell.strip() for cell in cells] if self.has_header else range(len(cells))
        self.names = tuple(map(str, named))

    def read(self, wanted: Sequence[int], labels: int | None) -> Cells:
        """The cells of these columns as numbers, and those of another as they are.

        Raises ConfigError for rows with another number of cells than the first, and for no rows.
        """
        number, values, texts = Number(self.separator), array("d"), dict[int, tuple[str, int]]()
        label_cells: list[str] = []
        for line, cells in islice(self._rows(), int(self.has_header), None):
            if len(cells) != len(self.names):
                raise ConfigError(
                    PATH, self.path,
                    f"line {line} has {len(cells)} cells, the first {len(self.names)}",
                    f"cells are separated by {self.separator!r} here; a cell that contains one "
                    'needs quotes, "a,b"',
                )  # fmt: skip
            for place in wanted:
                value = number.read(cells[place])
                if value is None and not is_missing(cells[place]):
                    texts.setdefault(place, (cells[place], line))
                values.append(np.nan if value is None else value)
            if labels is not None:
                label_cells.append(cells[labels].strip())
        if not values:
            raise ConfigError(PATH, self.path, "holds no rows below its header")
        numbers = np.frombuffer(values).reshape(-1, len(wanted))
        return Cells(numbers, texts, label_cells, number.mark == ",")

    def distinct(self, place: int) -> int:
        """How many different cells a column has."""
        return len({cells[place] for _, cells in islice(self._rows(), int(self.has_header), None)})

    def _is_shared(self, separator: str) -> bool:
        """Whether it divides the first line, and most lines into as many cells."""
        with suppress(ConfigError):
            widths = [len(cells) for _, cells in islice(self._rows(separator), _LOOKED_AT)]
            return bool(widths) and widths[0] > 1 and 2 * widths.count(widths[0]) > len(widths)
        return False

    def _rows(self, separator: str | None = None) -> Iterator[tuple[int, list[str]]]:
        """Line numbers, from 1, and the cells of each row; blank lines are left out."""
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(
                    file, delimiter=separator or self.separator, skipinitialspace=True, strict=True
                )
                yield from ((reader.line_num, cells) for cells in reader if cells)
        except UnicodeDecodeError as error:
            hint = "save it as CSV UTF-8"
            raise ConfigError(PATH, self.path, "is not text in UTF-8", hint) from error
        except csv.Error as error:
            raise ConfigError(PATH, self.path, f"line {reader.line_num}: {error}") from error
        except OSError as error:
            raise ConfigError(PATH, self.path, f"cannot be read: {error.strerror}") from error


class Number:
    """Numbers as text; where semicolons separate cells, the first mark is that of all decimals."""

    def __init__(self, separator: str) -> None:
        self.mark = None if separator == ";" else "."

    def read(self, cell: str) -> float | None:
        """The number in a cell, None where it holds none."""
        if self.mark is None and ("," in cell or "." in cell):
            self.mark = "," if "," in cell else "."
        if self.mark == ",":
            cell = "text" if "." in cell else cell.replace(",", ".")
        try:
            return None if "_" in cell else float(cell)  # Python takes 1_000 for a number
        except ValueError:
            return None


def is_missing(cell: str) -> bool:
    """Whether a cell is empty, or says that its value is not known."""
    return cell.strip().lower() in MISSING
