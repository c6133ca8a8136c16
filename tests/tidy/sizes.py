"""Print the longest ten functions and modules: a guide, not a gate; none of them fails."""

import ast
import sys
from collections.abc import Iterator, Sequence

from tests.tidy.tree import SOURCE_ROOMS, name, parsed, python

Sized = tuple[int, str]


def functions() -> Iterator[Sized]:
    """Lines of every function, without its docstring, and where it stands."""
    for path in python(*SOURCE_ROOMS):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                words = ast.get_docstring(node, clean=False)
                spoken = words.count("\n") + 1 if words else 0
                lines = (node.end_lineno or node.lineno) - node.lineno + 1 - spoken
                yield lines, f"{name(path)}:{node.lineno} {node.name}"


def modules() -> Iterator[Sized]:
    """Lines of every module, and its name."""
    for path in python(*SOURCE_ROOMS):
        yield len(path.read_text(encoding="utf-8").splitlines()), name(path)


def table(kind: str, sizes: Sequence[Sized]) -> str:
    """The median and the longest ten as text."""
    ordered = sorted(sizes)
    rows = "".join(f"  {lines:4d}  {place}\n" for lines, place in reversed(ordered[-10:]))
    return f"{kind}: {len(ordered)}, median {ordered[len(ordered) // 2][0]} lines; longest:\n{rows}"


if __name__ == "__main__":
    sys.stdout.write(table("functions", list(functions())) + table("modules", list(modules())))
