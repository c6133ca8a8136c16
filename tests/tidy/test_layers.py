"""The layer rules of pyproject.toml: they hold, they miss nothing, and each goes red."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.tidy.tree import ROOT, distributions, python, settings

LINTER = Path(sys.executable).with_name("lint-imports")
LINTING: dict[str, Any] = settings(ROOT)["tool"]["importlinter"]
RULES: dict[str, dict[str, Any]] = {rule["id"]: rule for rule in LINTING["contracts"]}
PLUGINS = tuple(
    name for name in LINTING["root_packages"] if name not in ("covenue", "covenue_contracts")
)
KERNEL = ROOT / "core/covenue"
OPEN_TO_PLUGINS = {"hooks", "numerics", "errors"}
NARROW = {"ledger": "plugins-ledger", "identity": "plugins-identity"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of every source file and of the rules."""
    for path in python("core", "contracts", "plugins"):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def broken(tree: Path, rule: str) -> bool:
    """Whether import-linter finds `rule` broken in `tree`; any other failure is an error."""
    rooms = [tree / "core", tree / "contracts", *sorted((tree / "plugins").iterdir())]
    told = subprocess.run(
        [LINTER, "--no-cache", "--no-logo", "--contract", rule],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, rooms))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 kept, 0 broken" in told.stdout or "0 kept, 1 broken" in told.stdout, told.stdout
    return told.returncode != 0


def write(tree: Path, place: str, line: str) -> None:
    """Add a violating line at the end of a module, which need not exist."""
    path = tree / place
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as out:
        out.write(f"\n{line}\n")


MUTANTS: dict[str, tuple[str, str, str]] = {
    "the contracts import the kernel": (
        "street",
        "contracts/covenue_contracts/plan.py",
        "import covenue.errors",
    ),
    "the kernel imports a plugin": (
        "street",
        "core/covenue/rounds/mutant.py",
        "import covenue_venue_recorded",
    ),
    "a plugin imports another": (
        "street",
        "plugins/solver-search/covenue_solver_search/mutant.py",
        "import covenue_privacy_open",
    ),
    "hooks import the registry": (
        "rooms",
        "core/covenue/hooks/mutant.py",
        "import covenue.registry",
    ),
    "the ledger imports the accountant": (
        "rooms",
        "core/covenue/ledger/mutant.py",
        "import covenue.privacy",
    ),
    "reports import the replay": (
        "rooms",
        "core/covenue/reports/mutant.py",
        "import covenue.replay",
    ),
    "rounds import the suites": (
        "rooms",
        "core/covenue/rounds/mutant.py",
        "import covenue.testing",
    ),
    "errors import numerics": ("rooms", "core/covenue/errors.py", "import covenue.numerics"),
    "numerics import hooks": ("rooms", "core/covenue/numerics/mutant.py", "import covenue.hooks"),
    "identity imports the ledger": (
        "rooms",
        "core/covenue/identity/mutant.py",
        "import covenue.ledger",
    ),
    "a room that no rule names": ("rooms", "core/covenue/attic/__init__.py", "ATTIC = 1"),
    "a plugin imports the rounds": (
        "plugins",
        "plugins/solver-search/covenue_solver_search/mutant.py",
        "import covenue.rounds",
    ),
    "a solver imports the ledger": (
        "plugins-ledger",
        "plugins/solver-search/covenue_solver_search/mutant.py",
        "import covenue.ledger",
    ),
    "a venue imports identities": (
        "plugins-identity",
        "plugins/venue-recorded/covenue_venue_recorded/mutant.py",
        "import covenue.identity",
    ),
    "a plugin imports the facade's home": (
        "plugins-facade",
        "plugins/privacy-open/covenue_privacy_open/mutant.py",
        "import covenue",
    ),
    "the coordinator imports local problems": (
        "coordinator",
        "core/covenue/rounds/coordinator.py",
        "import covenue_contracts.local",
    ),
    "the coordinator reaches them through what it imports": (
        "coordinator",
        "core/covenue/hooks/solvers.py",
        "import covenue.hooks.venues",
    ),
    "the coordinator names them for types only": (
        "coordinator",
        "core/covenue/rounds/coordinator.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import covenue_contracts.local",
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_holds_and_has_a_mutant(rule: str, copy: Path) -> None:
    assert rule in {found for found, _, _ in MUTANTS.values()}
    assert not broken(copy, rule)


@pytest.mark.parametrize("case", MUTANTS)
def test_a_violation_turns_its_rule_red(case: str, copy: Path) -> None:
    rule, place, line = MUTANTS[case]
    write(copy, place, line)
    assert broken(copy, rule)


def test_the_rules_name_every_plugin() -> None:
    packaged = {
        Path(package).name
        for folder in distributions()
        if folder.parent.name == "plugins"
        for package in settings(folder)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    }
    assert packaged == set(PLUGINS)
    assert set(RULES["street"]["layers"][0].split(" | ")) == packaged
    assert set(RULES["plugins"]["source_modules"]) == packaged
    everywhere = packaged | {f"{name}.**" for name in packaged}
    assert set(RULES["plugins-facade"]["source_modules"]) == everywhere


def test_only_ledgers_and_engines_are_let_further_in() -> None:
    for rule, family in (("plugins-ledger", "ledger"), ("plugins-identity", "engine")):
        let_in = set(PLUGINS) - set(RULES[rule]["source_modules"])
        assert let_in == {name for name in PLUGINS if name.startswith(f"covenue_{family}_")}


def test_plugins_are_kept_out_of_every_other_room() -> None:
    rooms = {path.stem for path in KERNEL.iterdir() if path.suffix == ".py" or path.is_dir()}
    rooms -= {"__init__", "__pycache__"} | OPEN_TO_PLUGINS | set(NARROW)
    assert set(RULES["plugins"]["forbidden_modules"]) == {f"covenue.{room}" for room in rooms}


def test_no_rule_ignores_an_import() -> None:
    text = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for rule in text["tool"]["importlinter"]["contracts"]:
        assert "ignore_imports" not in rule
    assert "exclude_type_checking_imports" not in text["tool"]["importlinter"]


def test_a_running_coordinator_has_not_loaded_what_stays_at_a_venue() -> None:
    code = "import sys, covenue.rounds.coordinator; print('covenue_contracts.local' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
