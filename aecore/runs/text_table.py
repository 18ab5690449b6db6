"""Tables for the terminal."""

from __future__ import annotations

from aecore.config.terminal import in_one_line


def table(header: list[str], rows: list[list[str]]) -> str:
    """Columns aligned by spaces: numbers to the right, text to the left."""
    header, *rows = ([in_one_line(cell) for cell in row] for row in (header, *rows))
    columns = list(zip(header, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    right = [all(_is_number(cell) for cell in column[1:]) for column in columns]
    lines = []
    for cells in (header, *rows):
        padded = (
            cell.rjust(width) if r else cell.ljust(width)
            for cell, width, r in zip(cells, widths, right, strict=True)
        )
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True
