"""The program: lazy, one screen or one JSON object, and the promised exit codes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from covenue import errors
from covenue.cli import plugins as plugins_module
from covenue.cli.program import COMMANDS, program

Invoke = Callable[..., Result]
Golden = Callable[[str, str], None]
HEAVY = "numpy pydantic pluggy rich jsonschema msgspec cryptography importlib_metadata"


def one_object(result: Result) -> dict[str, object]:
    """The one JSON object that stdout must be."""
    assert result.stdout.count("\n") == 1
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def test_help_reads_as_promised(covenue: Invoke, golden: Golden) -> None:
    result = covenue("--help")
    assert result.exit_code == 0
    golden("help", result.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_s_help_reads_as_promised(covenue: Invoke, golden: Golden, name: str) -> None:
    result = covenue(name, "--help")
    assert result.exit_code == 0
    golden(f"help-{name}", result.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_of_each_command_what_it_says_itself(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == COMMANDS[name][1].rstrip(".") + "."


def loaded_after(arguments: list[str]) -> set[str]:
    """Modules of a fresh process after a command."""
    code = (
        "import sys\nfrom covenue.cli.program import program\n"
        f"try: program({arguments!r}, prog_name='covenue')\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_no_heavy_library_no_plugin_and_no_subcommand() -> None:
    loaded = loaded_after(["--help"])
    assert loaded & set(HEAVY.split()) == set()
    assert "importlib.metadata" not in loaded
    assert {name for name in loaded if name.startswith("covenue_")} == set()
    assert {COMMANDS[name][0] for name in COMMANDS} & loaded == set()


def test_a_command_imports_its_own_module_and_no_other_command() -> None:
    loaded = loaded_after(["contracts", "list"])
    assert {COMMANDS[name][0] for name in COMMANDS} & loaded == {"covenue.cli.contracts"}


def test_listing_plugins_imports_none_of_them() -> None:
    from covenue.registry.load import Registry

    packages = {row.package.name for row in Registry().rows() if row.package}
    loaded = loaded_after(["plugins", "list"])
    assert packages
    assert packages & loaded == set()
    assert "numpy" not in loaded


def test_the_installed_script_and_the_module_are_the_same_program() -> None:
    script = Path(sys.executable).with_name("covenue")
    for command in ([str(script)], [sys.executable, "-m", "covenue.cli"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("covenue 0.")


def test_without_a_command_the_help_is_shown(covenue: Invoke) -> None:
    result = covenue()
    assert result.exit_code == 0
    assert result.stdout == covenue("--help").stdout
    assert result.stderr == ""


def test_a_group_without_a_command_shows_its_help_and_nothing_else(covenue: Invoke) -> None:
    for group in ("ledger", "plugins", "contracts"):
        result = covenue(group)
        assert result.exit_code in {0, 2}, "versions of click differ"
        assert result.output == covenue(group, "--help").stdout
        assert "BadInput" not in result.output


SCREENS = {
    "unknown-command": ["reply", "x"],
    "unknown-option": ["verify", "--fast", "x"],
    "missing-argument": ["verify"],
    "missing-ledger": ["verify", "nothing.ledger"],
    "missing-scenario": ["run", "nothing.toml"],
    "no-scenario": ["run"],
    "empty-out": ["demo", "--out", ""],
    "empty-ledger": ["verify", ""],
    "unknown-demo": ["demo", "btc-three-engine"],
    "a-file-as-demo": ["demo", "mine.toml"],
    "unknown-demo-option": ["demo", "--fee", "retail"],
    "option-without-value": ["demo", "--fees"],
    "option-without-its-value": ["run", "--resume"],
    "negative-pace": ["demo", "--pace", "-1"],
    "pace-that-is-no-number": ["demo", "--pace", "nan"],
    "pace-in-words": ["demo", "--pace", "slow"],
    "missing-option": ["bridge", "translate", "x.json", "--from", "arbsphere"],
    "resume-with-more": ["run", "--resume", "x", "--dry-run"],
    "unknown-plugin": ["plugins", "show", "solver-serach"],
    "unknown-contract": ["contracts", "show", "querry/v1"],
    "no-plan": ["kill", "abc"],
    "no-ledger-here": ["kill", "ab" * 32],
    "malformed-toml": ["run", "malformed.toml"],
}


@pytest.mark.parametrize("name", SCREENS)
def test_bad_input_gets_one_screen_no_traceback_and_exit_2(
    covenue: Invoke, golden: Golden, name: str
) -> None:
    Path("malformed.toml").write_text("[scenario\n")
    result = covenue(*SCREENS[name])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) <= 24
    home = str(Path(__file__).parents[2])
    golden(f"screen-{name}", result.stderr.replace(home, "CHECKOUT"))
    assert [path.name for path in Path().iterdir()] == ["malformed.toml"]


@pytest.mark.parametrize("name", SCREENS)
def test_bad_input_with_json_is_one_object_and_exit_2(covenue: Invoke, name: str) -> None:
    result = covenue(*SCREENS[name], "--json")
    assert result.exit_code == 2
    assert result.stderr == ""
    document = one_object(result)
    assert {"error", "what", "advice"} <= set(document)
    assert document["advice"]


SCREEN_PLACES = {
    "negative-pace": ("--pace", "-1"),
    "pace-that-is-no-number": ("--pace", "nan"),
    "pace-in-words": ("--pace", "slow"),
    "missing-option": ("--to", ""),
    "missing-argument": ("LEDGER", ""),
    "unknown-option": ("--fast", ""),
}


@pytest.mark.parametrize("name", SCREEN_PLACES)
def test_what_the_command_line_lacks_is_named_as_it_is_typed(covenue: Invoke, name: str) -> None:
    document = one_object(covenue(*SCREENS[name], "--json"))
    assert (document["field"], document["value"]) == SCREEN_PLACES[name]


def raising(error: BaseException) -> Callable[..., None]:
    def raise_it(*_: object, **__: object) -> None:
        raise error

    return raise_it


def all_errors(root: type[errors.CovenueError]) -> list[type[errors.CovenueError]]:
    return [root, *(e for child in root.__subclasses__() for e in all_errors(child))]


@pytest.mark.parametrize("kind", sorted(set(all_errors(errors.CovenueError)), key=str))
def test_every_error_of_the_kernel_is_a_screen_or_an_object(
    covenue: Invoke, monkeypatch: pytest.MonkeyPatch, kind: type[errors.CovenueError]
) -> None:
    from dataclasses import fields

    error = kind(**{field.name: f"some {field.name}" for field in fields(kind)})
    monkeypatch.setattr(plugins_module.list_plugins, "callback", raising(error))
    screen = covenue("plugins", "list")
    assert screen.exit_code == 2
    assert screen.stderr == f"{error}\n"
    document = one_object(covenue("plugins", "list", "--json"))
    assert document == {"error": kind.__name__, **error.diagnostics()}


def test_what_the_system_refuses_is_bad_input(
    covenue: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = PermissionError(13, "Permission denied", "/place")
    monkeypatch.setattr(plugins_module.list_plugins, "callback", raising(error))
    result = covenue("plugins", "list")
    assert result.exit_code == 2
    assert "the system refuses: Permission denied\n  file: /place" in result.stderr


def test_a_defect_shows_its_traceback_and_is_neither_a_failed_check_nor_bad_input(
    covenue: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins_module.list_plugins, "callback", raising(KeyError("oops")))
    result = covenue("plugins", "list", "--json")
    assert result.exit_code == 70
    assert "Traceback" in result.stderr
    assert one_object(result)["error"] == "Defect"


def test_an_interruption_exits_130_and_says_how_to_go_on(
    covenue: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins_module.list_plugins, "callback", raising(KeyboardInterrupt()))
    result = covenue("plugins", "list")
    assert result.exit_code == 130
    assert "covenue run --resume LEDGER" in result.stderr


def test_a_termination_exits_143_and_says_how_to_go_on(
    covenue: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(plugins_module.list_plugins, "callback", ended)
    result = covenue("plugins", "list")
    assert result.exit_code == 143
    assert result.stderr.startswith("Terminated: ended by SIGTERM\n")
    assert "covenue run --resume LEDGER" in result.stderr
    assert signal.getsignal(signal.SIGTERM) == before


def test_text_from_outside_cannot_steer_the_terminal(
    covenue: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = errors.BadInput("a \x1b[2J what", "an advice", value="v\x07\r")
    monkeypatch.setattr(plugins_module.list_plugins, "callback", raising(error))
    result = covenue("plugins", "list")
    assert "a \\x1b[2J what" in result.stderr
    assert "v\\x07\\r" in result.stderr


def test_a_reader_that_leaves_ends_the_program_quietly() -> None:
    script = Path(sys.executable).with_name("covenue")
    with subprocess.Popen(
        [str(script), "contracts", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
