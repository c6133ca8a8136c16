"""Commands against recorded stand-ins of the session: what they call, print and exit with."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from covenue import replay as replay_module
from covenue.cli import printing
from covenue.errors import LedgerDamaged, ReplayDiffers
from covenue.hooks.domains import Scenario
from covenue.registry.load import Registry
from covenue.replay import Verdict
from covenue.rounds import output, preflight, session, stopping
from covenue.rounds.session import Progress, RunResult

Invoke = Callable[..., Result]
SHIPPED = (
    Path(__file__).parents[2]
    / "plugins/domain-routing/covenue_domain_routing/scenarios/btc-three-engines/scenario.toml"
)


@dataclass
class Recorded:
    """What the commands called, and what the stand-ins answer."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    status: str = "ok"
    warnings: tuple[str, ...] = ()
    verdict: Verdict = field(
        default_factory=lambda: Verdict(True, "identical", "full", (("all", "pass", "1 step"),))
    )


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorded:
    """Stand-ins for session and replay."""
    told = Recorded()

    def prepare(scenario: Any, _registry: Registry) -> Any:
        told.calls.append(("prepare", scenario))
        return SimpleNamespace(scenario=scenario, warnings=told.warnings, why="")

    def result(ledger: Path) -> RunResult:
        summary = {"parties": 3, "status": "?", "standing": {"plans": [1, 2, 3, 4, 5]}}
        return RunResult(told.status, ledger, "ab" * 32, summary, {"scenario": "three"}, ())

    def run(
        _prepared: Any, out: Path, progress: Callable[[Progress], None], _pace: float
    ) -> RunResult:
        told.calls.append(("run", out))
        progress(Progress("standing", 1, 2, "a note"))
        out.mkdir(parents=True)
        return result(out / output.LEDGER)

    def resume(ledger: Path, _registry: Registry, progress: Any, _pace: float) -> RunResult:
        told.calls.append(("resume", ledger))
        progress(Progress("executed", 1, 2, ""))
        return result(ledger)

    def replay(ledger: Path, data: Path | None, _registry: Registry) -> Verdict:
        told.calls.append(("replay", (ledger, data)))
        return told.verdict

    def verify(ledger: Path, _registry: Registry) -> Verdict:
        told.calls.append(("verify", ledger))
        return told.verdict

    def kill(plan: str, reason: str, ledger: Path, _registry: Registry) -> dict[str, str]:
        told.calls.append(("kill", (plan, reason, ledger)))
        return {"plan": plan, "how": "stood in"}

    monkeypatch.setattr(preflight, "prepare", prepare)
    monkeypatch.setattr(session, "run", run)
    monkeypatch.setattr(session, "resume", resume)
    monkeypatch.setattr(stopping, "kill", kill)
    monkeypatch.setattr(replay_module, "replay", replay)
    monkeypatch.setattr(replay_module, "verify", verify)
    return told


def document(result: Result) -> dict[str, Any]:
    """The one JSON object that stdout must be."""
    assert result.stdout.count("\n") == 1
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


def test_demo_prepares_runs_replays_and_sums_up(
    covenue: Invoke, recorded: Recorded, tmp_path: Path
) -> None:
    result = covenue("demo", "--json", "--out", "here", "--fees", "retail", "--quantity=25")
    assert result.exit_code == 0
    assert [name for name, _ in recorded.calls] == ["prepare", "run", "replay"]
    assert recorded.calls[0][1].chosen == {"fees": "retail", "quantity": "25"}
    printed = document(result)
    assert printed["status"] == "ok"
    assert printed["replay"] == "identical"
    assert printed["ledger"] == str(tmp_path / "here" / output.LEDGER)
    assert printed["root"] == "ab" * 32
    assert Path(printed["report"]).is_file()


def test_options_may_stand_anywhere_around_the_name(covenue: Invoke, recorded: Recorded) -> None:
    covenue("demo", "--fees", "retail", "btc-three-engines", "--out", "x", "--quantity", "7")
    assert recorded.calls[0][1].chosen == {"fees": "retail", "quantity": "7"}


def test_without_out_the_demo_writes_into_covenue_demo_here(
    covenue: Invoke, recorded: Recorded, tmp_path: Path
) -> None:
    assert covenue("demo").exit_code == 0
    assert ("run", tmp_path / "covenue-demo") in recorded.calls
    again = covenue("demo")
    assert again.exit_code == 2
    assert again.stderr.startswith("OutputExists: ")


def test_an_output_that_exists_is_refused_before_anything_is_checked_or_touched(
    covenue: Invoke, recorded: Recorded
) -> None:
    Path("file").write_text("mine")
    Path("folder").mkdir()
    Path("folder/report.html").write_text("mine")
    Path("link").symlink_to("nowhere")
    for out in ("file", "folder", "link"):
        assert covenue("demo", "--out", out).exit_code == 2
    assert recorded.calls == []
    assert Path("folder/report.html").read_text() == "mine"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("void: cohort lost", Verdict(True, "identical", "full", ())),
        ("ok", Verdict(False, "differs", "venues", (), {"place": "entry 7"})),
        ("ok", Verdict(True, "partial", "transcript", ())),
        ("ok", Verdict(True, "partial", "venues", ())),
    ],
)
def test_a_demo_whose_run_or_replay_fails_exits_1(
    covenue: Invoke, recorded: Recorded, status: str, verdict: Verdict
) -> None:
    recorded.status, recorded.verdict = status, verdict
    result = covenue("demo", "--json")
    assert result.exit_code == 1
    assert document(result).get("difference") == verdict.difference


@pytest.mark.parametrize("status", ["unfilled", "killed"])
def test_a_run_that_ends_by_its_own_rules_has_failed_no_check(
    covenue: Invoke, recorded: Recorded, status: str
) -> None:
    recorded.status = status
    result = covenue("demo", "--json")
    assert (result.exit_code, document(result)["status"]) == (0, status)


def test_demo_lists_scenarios_with_their_options(covenue: Invoke) -> None:
    assert "--fees retail|vip" in covenue("demo", "--list").stdout
    listed, *others = document(covenue("demo", "--list", "--json"))["scenarios"]
    standard = {"--privacy VALUE", "--solver VALUE"}
    assert (listed["name"], listed["options"]) == (
        "btc-three-engines",
        sorted({"--fees retail|vip", "--quantity VALUE"} | standard),
    )
    assert [other["name"] for other in others] == [
        "arbitrage",
        "arbitrage-two-venues",
        "vwap",
    ]
    assert {option for other in others for option in other["options"]} == standard


def test_a_broken_domain_is_named_and_the_others_still_have_demos(
    covenue: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    from covenue.errors import PluginBroken

    class Other:
        """A domain that works."""

        def scenarios(self) -> tuple[Scenario, ...]:
            return (Scenario("other", "", SHIPPED),)

    def build(_self: Registry, _family: str, name: str) -> Other:
        if name == "broken":
            raise PluginBroken("plugin covenue-domain-broken fails", "repair it")
        return Other()

    monkeypatch.setattr(Registry, "names", lambda *_: ("broken", "working"))
    monkeypatch.setattr(Registry, "build", build)
    result = covenue("demo", "--list", "--json")
    assert "covenue-domain-broken" in result.stderr
    assert document(result)["scenarios"][0]["name"] == "other"
    monkeypatch.setattr(Registry, "names", lambda *_: ("broken",))
    assert covenue("demo").exit_code == 2
    monkeypatch.setattr(Registry, "names", lambda *_: ())
    assert "pip install" in covenue("demo").stderr


def test_run_takes_a_file_its_options_and_a_folder(
    covenue: Invoke, recorded: Recorded, tmp_path: Path
) -> None:
    result = covenue("run", str(SHIPPED), "--fees", "retail", "--json")
    assert result.exit_code == 0
    assert [name for name, _ in recorded.calls] == ["prepare", "run"]
    assert recorded.calls[1][1] == tmp_path / "covenue-btc-three-engines"
    assert "replay" not in document(result)


def test_a_dry_run_checks_everything_and_writes_nothing(
    covenue: Invoke, recorded: Recorded, tmp_path: Path
) -> None:
    result = covenue("run", str(SHIPPED), "--dry-run", "--quantity", "3", "--json")
    assert result.exit_code == 0
    assert [name for name, _ in recorded.calls] == ["prepare"]
    printed = document(result)
    assert (printed["status"], printed["options"]) == ("ready", {"quantity": "3"})
    assert {plugin["plugin"] for plugin in printed["plugins"]} >= {"covenue-solver-search"}
    assert all(len(plugin["content"]) == 64 for plugin in printed["plugins"])
    assert "ready to run" in covenue("run", str(SHIPPED), "--dry-run").stdout
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_will_not_last_and_refuses_nothing(
    covenue: Invoke, recorded: Recorded
) -> None:
    assert document(covenue("run", str(SHIPPED), "--dry-run", "--json"))["warnings"] == []
    recorded.warnings = ("the budget of party 'spot' does not last", "a \x1b[2J capture ends")
    result = covenue("run", str(SHIPPED), "--dry-run", "--json")
    assert result.exit_code == 0
    assert document(result)["warnings"] == list(recorded.warnings)
    shown = covenue("run", str(SHIPPED), "--dry-run")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[-2] == "warning: the budget of party 'spot' does not last"
    assert lines[-1] == "warning: a \\x1b[2J capture ends"


def test_an_output_whose_start_was_cut_short_is_begun_again(
    covenue: Invoke, recorded: Recorded, tmp_path: Path
) -> None:
    (tmp_path / "here" / "parties").mkdir(parents=True)
    notes = tmp_path / "here" / output.SIDECAR
    notes.write_text(json.dumps({"scenario": "x", "begun": True}))
    assert covenue("demo", "--out", "here").exit_code == 2
    notes.write_text(json.dumps({"scenario": "x", "begun": False}))
    assert "this run never began" in covenue("run", "--resume", "here").stderr
    assert "this run never began" in covenue("run", "--resume", "here/plan.ledger").stderr
    (tmp_path / "here" / output.LEDGER).write_bytes(b"")
    assert covenue("run", "--resume", "here").exit_code == 2
    covenue("demo", "--out", "here")
    assert recorded.calls[-1] == ("run", tmp_path / "here")


def test_resume_continues_a_ledger_given_as_file_or_as_folder(
    covenue: Invoke, recorded: Recorded, tmp_path: Path
) -> None:
    ledger = tmp_path / "o" / output.LEDGER
    ledger.parent.mkdir()
    ledger.write_bytes(b"")
    for given in ("o", f"o/{output.LEDGER}"):
        assert covenue("run", "--resume", given, "--json").exit_code == 0
    assert recorded.calls == [("resume", ledger)] * 2


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_check_that_holds_exits_0(covenue: Invoke, recorded: Recorded, command: str) -> None:
    Path("l").write_bytes(b"")
    result = covenue(command, "l", "--json")
    assert result.exit_code == 0
    assert document(result)["checks"] == [{"name": "all", "verdict": "pass", "detail": "1 step"}]
    assert "identical (full)" in covenue(command, "l").stdout


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_check_that_fails_exits_1_and_names_the_difference(
    covenue: Invoke, recorded: Recorded, command: str
) -> None:
    Path("l").write_bytes(b"")
    recorded.verdict = Verdict(False, "differs", "venues", (), {"place": "entry 7", "was": "a"})
    result = covenue(command, "l")
    assert result.exit_code == 1
    assert "entry 7" in result.stdout


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (LedgerDamaged("a leaf differs", "restore", place="leaf 3"), "damaged"),
        (ReplayDiffers("entry 9 differs", "ask"), "differs"),
    ],
)
def test_damage_that_is_raised_is_a_failed_check_as_well(
    covenue: Invoke, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    def verify(*_: object) -> Verdict:
        raise error

    monkeypatch.setattr(replay_module, "verify", verify)
    Path("l").write_bytes(b"")
    result = covenue("verify", "l", "--json")
    assert result.exit_code == 1
    assert document(result)["status"] == status


def test_replay_is_told_where_the_data_has_moved(
    covenue: Invoke, recorded: Recorded, tmp_path: Path
) -> None:
    Path("l").write_bytes(b"")
    Path("data").mkdir()
    assert covenue("replay", "l", "--data", "data").exit_code == 0
    assert recorded.calls == [("replay", (tmp_path / "l", tmp_path / "data"))]
    assert covenue("replay", "l", "--data", "gone").exit_code == 2


def test_kill_finds_the_only_ledger_here_and_refuses_to_choose(
    covenue: Invoke, recorded: Recorded, tmp_path: Path
) -> None:
    plan = "ab" * 32
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    ledger = tmp_path / "one" / output.LEDGER
    ledger.write_bytes(b"")
    assert covenue("kill", plan, "--reason", "fire").exit_code == 0
    (tmp_path / "two" / output.LEDGER).write_bytes(b"")
    assert covenue("kill", plan).exit_code == 2
    assert covenue("kill", plan, "--ledger", "one", "--json").exit_code == 0
    assert recorded.calls == [
        ("kill", (plan, "fire", ledger)),
        ("kill", (plan, "operator", ledger)),
    ]
    assert covenue("kill", plan, "--reason", "x" * 4097).exit_code == 2


def test_plugins_are_listed_and_shown(covenue: Invoke) -> None:
    listed = document(covenue("plugins", "list", "--json"))["plugins"]
    assert {"covenue-solver-search", "covenue-ledger-sqlite"} <= {row["id"] for row in listed}
    assert "covenue-solver-search" in covenue("plugins", "list").stdout
    for name in ("covenue-solver-search", "solver-search"):
        shown = document(covenue("plugins", "show", name, "--json"))
        assert shown["manifest"]["id"] == "covenue-solver-search"
        assert len(shown["content"]) == 64
    assert "manifest.determinism" in covenue("plugins", "show", "solver-search").stdout


def test_an_unknown_plugin_is_shown_as_it_was_typed(covenue: Invoke) -> None:
    for typed in ("search", "solver-serach", "covenue-solver-serach"):
        refused = document(covenue("plugins", "show", typed, "--json"))
        assert (refused["field"], refused["value"]) == ("ID", typed)
        assert refused["what"] == f"no plugin '{typed}' is installed"
        assert refused["advice"] == "did you mean 'covenue-solver-search'?"


def test_versions_do_not_make_contracts_alike(covenue: Invoke) -> None:
    assert "did you mean" not in covenue("contracts", "show", "zzz").stderr
    assert "did you mean 'order/v1'?" in covenue("contracts", "show", "ordr/v7").stderr


def test_contracts_are_listed_and_shown(covenue: Invoke) -> None:
    listed = document(covenue("contracts", "list", "--json"))["contracts"]
    assert "query/v1" in {row["kind"] for row in listed}
    assert "query/v1" in covenue("contracts", "list").stdout
    schema = document(covenue("contracts", "show", "query/v1", "--json"))["schema"]
    assert json.loads(covenue("contracts", "show", "query/v1").stdout) == schema


DUAL = {"scale_bits": 3, "values": ["1"]}


def test_a_valid_document_exits_0_and_an_invalid_one_1(covenue: Invoke) -> None:
    kind = "dual-variables/v1"
    Path("good.json").write_text(json.dumps(DUAL))
    Path("bad.json").write_text(json.dumps(DUAL | {"values": ["01"]}))
    assert f"a valid {kind}" in covenue("contracts", "validate", kind, "good.json").stdout
    assert covenue("contracts", "validate", kind, "bad.json").exit_code == 1
    result = covenue("contracts", "validate", kind, "bad.json", "--json")
    assert result.exit_code == 1
    assert document(result)["fault"]["field"] == "/values/0"


def test_a_kind_without_its_version_is_version_1(covenue: Invoke) -> None:
    Path("good.json").write_text(json.dumps(DUAL))
    result = covenue("contracts", "validate", "dual-variables", "good.json")
    assert result.stdout == "good.json: a valid dual-variables/v1\n"
    shown = document(covenue("contracts", "show", "order", "--json"))
    assert shown["kind"] == "order/v1"
    assert "order/v1" in covenue("contracts", "show", "ordr").stderr


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "no JSON"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": 0.5}', "leaves the canonical profile"),
        ('{"a": 9007199254740993}', "leaves the canonical profile"),
    ],
)
def test_a_file_that_no_contract_could_judge_is_bad_input(
    covenue: Invoke, body: str, said: str
) -> None:
    Path("x.json").write_text(body)
    result = covenue("contracts", "validate", "query/v1", "x.json")
    assert result.exit_code == 2
    assert said in result.stderr


def test_on_a_terminal_bars_and_tables_are_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with printing.watching(as_json=False) as show:
        show(Progress("standing", 1, 2, "plan 1"))
        show(Progress("standing", 2, 2, "plan [red]2"))
    printing.print_table("a title", ("name", "value"), [("[bold]x", "\x1b[1m")])
    captured = capsys.readouterr()
    assert "standing" in captured.err
    assert "[bold]x" in captured.out
    assert "\\x1b[1m" in captured.out


def test_with_json_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with printing.watching(as_json=True) as show:
        show(Progress("standing", 1, 2, "plan 1"))
    assert capsys.readouterr() == ("", "")
