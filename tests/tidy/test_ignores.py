import io
import re
import tokenize
from pathlib import Path

import pytest
from tests.tidy.tree import ROOT, name, python

NOQA = re.compile(r"#\s*noqa\b(?!: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)* -- \S)", re.IGNORECASE)
TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore(?!\[[a-z-]+(, ?[a-z-]+)*\]\s+(#|--) ?\S)")
FILE_WIDE = re.compile(r"#\s*(ruff: noqa|flake8: noqa|mypy: ignore-errors|mypy: disable)")
RULES = (NOQA, TYPE_IGNORE, FILE_WIDE)

REFUSED = {
    "a bare noqa": "import x  # noqa",
    "a noqa without a reason": "import x  # noqa: F401",
    "a bare type ignore": "f(1)  # type: ignore",
    "a type ignore without a reason": "f(1)  # type: ignore[arg-type]",
    "a file-wide noqa": "# ruff: noqa: F401",
    "a file-wide mypy switch": "# mypy: ignore-errors",
}
ALLOWED = {
    "a noqa with code and reason": "import x  # noqa: F401 -- re-exported",
    "two codes": "import x  # noqa: F401, E501 -- the wire's own",
    "a type ignore with a reason": "f(1)  # type: ignore[arg-type] -- a test of refusal",
    "a type ignore with a comment": "f(1)  # type: ignore[arg-type]  # a test of refusal",
}


def silent(comment: str) -> bool:
    return any(rule.search(comment) for rule in RULES)


def comments(path: Path) -> list[tuple[int, str]]:
    read = io.StringIO(path.read_text(encoding="utf-8")).readline
    return [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(read)
        if token.type == tokenize.COMMENT
    ]


@pytest.mark.parametrize("case", REFUSED)
def test_an_ignore_that_hides_its_code_or_reason_is_found(case: str) -> None:
    assert silent(REFUSED[case])


@pytest.mark.parametrize("case", ALLOWED)
def test_an_ignore_with_code_and_reason_passes(case: str) -> None:
    assert not silent(ALLOWED[case])


def test_every_ignore_has_a_code_and_a_reason() -> None:
    found = [
        f"{name(path)}:{line}: {comment}"
        for path in python()
        for line, comment in comments(path)
        if silent(comment)
    ]
    assert found == []


def test_every_lint_rule_switched_off_has_its_reason_beside_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index("ignore = [")
    listed = lines[start + 1 : lines.index("]", start)]
    assert [line for line in listed if not re.search(r'",\s+# \S', line)] == []
