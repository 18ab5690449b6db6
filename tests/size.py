"""Lines of code by package, without blanks, comments and docstrings: `python tests/size.py`."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIPPED = ("aecore",)
LONGEST = 250  # lines of code in a file
_SILENT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


def code_lines(text: str) -> int:
    """How many lines hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                assert first.end_lineno is not None
                lines.difference_update(range(first.lineno, first.end_lineno + 1))
    return len(lines)


def main() -> None:
    """Print a line a package, the totals, and the files that are too long."""
    packages: Counter[str] = Counter()
    files: Counter[str] = Counter()
    long: list[str] = []
    for top in (*SHIPPED, "tests", "benchmarks"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            name = "/".join(parts[: 2 if top == "aecore" and len(parts) > 2 else 1])
            lines = code_lines(path.read_text())
            packages[name] += lines
            files[name] += 1
            if top in SHIPPED and lines > LONGEST:
                long.append(f"{path.relative_to(ROOT)}: {lines} lines")
    for name, lines in packages.items():
        print(f"{name:<22}{files[name]:>5} files {lines:>7,} lines")
    shipped = sum(n for name, n in packages.items() if name.partition("/")[0] in SHIPPED)
    print(f"{' + '.join(SHIPPED):<22}{shipped:>25,} lines")
    print("\n".join(long) or f"no file of these is longer than {LONGEST} lines")


if __name__ == "__main__":
    main()
