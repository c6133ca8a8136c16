import ast
import re
from pathlib import Path

import pytest
from tests.tidy.tree import ROOT, name, parsed, python

HOOKS = ROOT / "core/covenue/hooks"


def hookspecs() -> dict[str, Path]:
    """Every hook by name, with the module that specifies it."""
    return {
        node.name: path
        for path in python("core")
        if path.parent == HOOKS
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id == "hookspec" for d in node.decorator_list)
    }


def protocols(path: Path) -> set[str]:
    return {
        node.name
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
    }


def undocumented(path: Path) -> list[str]:
    kinds = (ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(parsed(path)) if isinstance(node, kinds)]
    return [node.name for node in nodes if not ast.get_docstring(node)]


def test_every_family_of_this_release_has_one_hook() -> None:
    assert set(hookspecs()) >= {
        f"register_{family}"
        for family in ("venues", "domains", "solvers", "privacy", "ledgers", "engines")
    }


@pytest.mark.parametrize("hook", hookspecs())
def test_a_hook_lives_beside_its_protocol_and_both_are_documented(hook: str) -> None:
    path = hookspecs()[hook]
    assert hook == f"register_{path.stem}"
    assert protocols(path), f"{name(path)} states no Protocol"
    assert undocumented(path) == []


@pytest.mark.parametrize("hook", hookspecs())
def test_a_hook_is_implemented_by_a_plugin(hook: str) -> None:
    users = [name(p) for p in python("plugins") if re.search(rf"def {hook}\(", p.read_text())]
    assert users, f"no plugin implements {hook}: a family gets its hook with its first plugin"


@pytest.mark.parametrize("hook", hookspecs())
def test_a_hook_has_a_test(hook: str) -> None:
    wanted = protocols(hookspecs()[hook]) | {hook}
    suites = [p for p in python("core") if p.is_relative_to(ROOT / "core/covenue/testing")]
    elsewhere = [*suites, *(p for p in python("tests") if p != Path(__file__).resolve())]
    tested = [name(p) for p in elsewhere if any(word in p.read_text() for word in wanted)]
    assert tested, f"no test names {hook} or one of {sorted(wanted)}"
