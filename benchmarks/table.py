"""The rows of a measurement, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

HEAD = ("section", "what", "who", "median", "min to max", "ours / this", "target")


@dataclass(frozen=True)
class Row:
    """One thing measured several times.

    ratios: ours divided by this, one for each round that measured both.
    bound, ratio_bound: what `value` and the median of the ratios must not exceed, None where
        nothing was promised.
    note: what stands in place of numbers, for what could not be measured.
    """

    section: str
    what: str
    who: str
    values: Sequence[float] = ()
    unit: str = "s"
    ratios: Sequence[float] = field(default=())
    bound: float | None = None
    note: str = ""
    ratio_bound: float | None = None

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the medians keep within their bound."""
        if self.bound is not None and self.values:
            return self.value <= self.bound
        if self.ratio_bound is not None and self.ratios:
            return median(self.ratios) <= self.ratio_bound
        return None

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        if not self.values:
            return (self.section, self.what, self.who, self.note, "", "", "")
        unit = f" {self.unit}" if self.unit else ""
        verdict = "met" if self.met else "MISSED"
        target = ""
        if self.bound is not None:
            target = f"at most {number(self.bound)}{unit}: {verdict}"
        elif self.ratio_bound is not None:
            target = f"ratio at most {self.ratio_bound:.2f}: {verdict}"
        return (
            self.section,
            self.what,
            self.who,
            f"{number(self.value)}{unit}",
            f"{number(min(self.values))} to {number(max(self.values))}",
            f"{median(self.ratios):.2f}" if self.ratios else "",
            target,
        )


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def markdown(rows: Sequence[Row], machine: Mapping[str, str]) -> str:
    """The machine in one paragraph, then one table."""
    lines = [tuple(HEAD), *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    text = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
            for line in lines]  # fmt: skip
    text.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    facts = "; ".join(f"{name}: {value}" for name, value in machine.items())
    return facts + "\n\n" + "\n".join(text) + "\n"


def write(section: str, rows: Sequence[Row], machine: Mapping[str, str], folder: Path) -> None:
    """Write speed/SECTION.json, and speed.md of all sections that are there."""
    place = folder / "speed"
    place.mkdir(parents=True, exist_ok=True)
    content = {"machine": dict(machine), "rows": [asdict(row) for row in rows]}
    (place / f"{section}.json").write_text(json.dumps(content, indent=1) + "\n")
    parts = []
    for file in sorted(place.glob("*.json")):
        found = json.loads(file.read_text())
        rows = [Row(**row) for row in found["rows"]]
        parts.append(f"## {file.stem}\n\n{markdown(rows, found['machine'])}")
    heading = "# Speed\n\n`python benchmarks/speed.py [--only SECTION]`\n\n"
    (folder / "speed.md").write_text(heading + "\n".join(parts))
