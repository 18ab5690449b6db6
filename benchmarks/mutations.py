"""The faults that are planted in a file: another operator, number, bound, method or gradient."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

OTHER: dict[type[ast.AST], str] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*", ast.FloorDiv: "*",
    ast.Mod: "//", ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=",
    ast.NotEq: "==", ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
    ast.And: "or", ast.Or: "and",
}  # fmt: skip
METHODS = {"mean": "sum", "sum": "mean", "min": "max", "max": "min", "any": "all", "all": "any"}
DROPPED = {"abs", "detach", "exp", "log", "sigmoid", "sqrt", "square"}
SKIPPED = (ast.Import, ast.ImportFrom, ast.Raise, ast.Assert, ast.JoinedStr)
CONDITIONS = (ast.Call, ast.Name, ast.Attribute)


class Mutant(NamedTuple):
    """A source file, its content with one fault, and the fault as two cells of a table."""

    source: Path
    code: bytes
    row: str


def mutants_of(root: Path, source: Path) -> Iterator[Mutant]:
    """All of a file below a root, but of annotations, messages, imports and assertions."""
    code = (root / source).read_bytes()
    starts = [0]
    for line in code.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for place, node, text in edits(ast.parse(code), ""):
        assert node.end_lineno is not None and node.end_col_offset is not None
        first = starts[node.lineno - 1] + node.col_offset
        last = starts[node.end_lineno - 1] + node.end_col_offset
        changed = code[:first] + text.encode() + code[last:]
        if ".detach()" in text and source.parts[1] == "evaluation":
            continue  # there are no gradients
        old, new = (c.decode().splitlines()[node.lineno - 1].strip() for c in (code, changed))
        row = f"{source.relative_to('aecore')} {place} | `{old}` becomes `{new}`"
        yield Mutant(source, changed, row.replace("|", "¦").replace(" ¦ `", " | `", 1))


def edits(node: ast.AST, place: str) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """Where, which node, and what comes in its place."""
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    message = called.endswith("Error") or called.startswith(("log.", "warnings.", "print"))
    for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    if isinstance(node, SKIPPED) or message or for_types:
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        if node.name == "__repr__":
            return
        place = f"{place}.{node.name}".strip(".")
    yield from ((place, *change) for change in changes(node))
    for name, value in ast.iter_fields(node):
        parts = value if isinstance(value, list) else [value]
        if name == "annotation" and value:  # the bounds of pydantic's fields alone
            parts = [call for call in ast.walk(value) if isinstance(call, ast.Call)]
        for part in parts if name not in ("decorator_list", "returns") else []:
            if isinstance(part, ast.AST) and getattr(part, "arg", "") != "strict":
                yield from edits(part, place)


def changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """What may stand in the place of a node, or of the condition of one."""
    match node:
        case ast.Compare(left, [op], [right]) | ast.BinOp(left, op, right) if type(op) in OTHER:
            yield node, f"(({ast.unparse(left)}) {OTHER[type(op)]} ({ast.unparse(right)}))"
        case ast.AugAssign(target, op, value) if type(op) in OTHER:
            yield node, f"{ast.unparse(target)} {OTHER[type(op)]}= {ast.unparse(value)}"
        case ast.BoolOp(op, values):
            yield node, "(" + f" {OTHER[type(op)]} ".join(map(ast.unparse, values)) + ")"
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield node, f"({ast.unparse(operand)})"
        case ast.Constant(bool() | int() | float() as value):
            one = value + 1 if isinstance(value, int) else 2 * value or 1.0
            yield node, str(not value if isinstance(value, bool) else one)
        case ast.Call(ast.Attribute(receiver, name), arguments):
            before = f"({ast.unparse(receiver)})"
            after = f"({', '.join(map(ast.unparse, [*arguments, *node.keywords]))})"
            if name in METHODS:
                yield node, f"{before}.{METHODS[name]}{after}"
            if name in DROPPED and not arguments:
                yield node, before
            if name in {*METHODS, *DROPPED, "logsumexp"} - {"detach"}:
                yield node, f"{before}.detach().{name}{after}"
        case ast.Expr(ast.Call()):
            yield node, "pass"
        case ast.If(test) | ast.IfExp(test) if isinstance(test, CONDITIONS):
            yield test, f"(not {ast.unparse(test)})"
