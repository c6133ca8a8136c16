"""Verify and replay: what passes, what differs, and where they say so."""

import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.replay.forge import forge, once
from tests.replay.tiny import NAMES, Done, check_of, run_tiny, scenario_text

from covenue.cli.program import program
from covenue.errors import BadInput, CaptureDamaged
from covenue.ledger.audit_log import AuditLog
from covenue.ledger.entries import Entry
from covenue.numerics.words import from_text, to_text, words
from covenue.registry.load import Registry
from covenue.replay import Verdict, open_ledger, replay, venues, verify
from covenue.rounds.identities import demo_identity
from covenue.rounds.output import LEDGER, SIDECAR, party_ledger
from covenue_contracts.contract import Contract
from covenue_contracts.plan import Order, PluginRef

COORDINATOR = demo_identity("tiny", "coordinator", "coordinator")
SPOT = demo_identity("tiny", "party", "spot")


def entries(ledger: Path) -> list[Entry]:
    with open_ledger(ledger, Registry()) as backend:
        return list(AuditLog.open(backend).entries())


def difference(verdict: Verdict) -> dict[str, str]:
    """The first difference; it names an entry, a place in it, and two values that differ."""
    assert not verdict.ok
    assert verdict.status == "differs"
    found = verdict.difference
    assert found is not None
    assert int(found["entry"]) >= 0
    assert found["pointer"].startswith("/")
    assert found["recorded"] != found["recomputed"]
    return found


# ---- nothing is wrong


def test_a_run_verifies_without_any_data(done: Done) -> None:
    verdict = verify(done.ledger, Registry())
    assert (verdict.ok, verdict.status, verdict.depth) == (True, "ok", "transcript")
    assert check_of(verdict, "integrity") == "pass"
    assert check_of(verdict, "followers") == "pass"


def test_a_run_replays_byte_for_byte(done: Done) -> None:
    verdict = replay(done.ledger, None, Registry())
    assert (verdict.ok, verdict.status, verdict.depth) == (True, "identical", "full")
    assert {check_of(verdict, f"venue {name}") for name in NAMES} == {"pass"}
    assert check_of(verdict, "full") == "pass"


def test_the_tiny_run_stands_and_executes(done: Done) -> None:
    """Otherwise the tests of this room would look at nothing."""
    kinds = {entry.header.kind for entry in entries(done.ledger)}
    assert kinds >= {"plan.go", "plan.settled", "plan.close", "plan.delta", "clock_regression"}
    node = {entry.header.kind for entry in entries(party_ledger(done.out, "spot"))}
    assert node >= {"tail", "snapshot", "reply", "budget.charge", "action", "outcome", "memory"}


def test_a_replay_reads_and_never_writes(copy: Done) -> None:
    before = {path: path.read_bytes() for path in copy.out.rglob("*") if path.is_file()}
    assert replay(copy.ledger, None, Registry()).status == "identical"
    assert {path: path.read_bytes() for path in copy.out.rglob("*") if path.is_file()} == before


def test_a_party_replays_its_own_part_with_its_own_data_only(copy: Done, tmp_path: Path) -> None:
    """What one party holds: the plan's ledger, its own, its capture, and the scenario."""
    mine = tmp_path / "mine"
    (mine / "out/parties").mkdir(parents=True)
    shutil.copytree(copy.data / "spot", mine / "data/spot")
    shutil.copy(copy.data / "scenario.toml", mine / "data")
    shutil.copy(copy.ledger, mine / "out")
    shutil.copy(party_ledger(copy.out, "spot"), mine / "out/parties")
    verdict = replay(mine / "out" / LEDGER, mine / "data", Registry())
    assert (verdict.ok, verdict.status, verdict.depth) == (True, "partial", "venues")
    assert verdict.reached == "venues: spot"
    assert check_of(verdict, "venue spot") == "pass"
    assert check_of(verdict, "venue usdm") == "not available"
    assert check_of(verdict, "venue coinm") == "not available"


def test_data_that_has_moved_is_found_by_party(copy: Done, tmp_path: Path) -> None:
    copy.data.rename(tmp_path / "elsewhere")
    assert replay(copy.ledger, None, Registry()).depth == "transcript"
    assert replay(copy.ledger, tmp_path / "elsewhere", Registry()).depth == "full"


def test_a_run_with_keys_of_its_own_replays_where_the_keys_are(tmp_path: Path) -> None:
    run = run_tiny(tmp_path, scenario_text().replace("demo = true", "demo = false"))
    assert replay(run.ledger, None, Registry()).depth == "full"
    shutil.rmtree(run.out / "keys")
    verdict = replay(run.ledger, None, Registry())
    assert (verdict.ok, verdict.depth) == (True, "transcript")
    assert check_of(verdict, "venue spot") == "not available"


def test_a_nodes_own_log_verifies_as_far_as_it_can(done: Done) -> None:
    for name in NAMES:
        ledger = party_ledger(done.out, name)
        for check, status in ((verify(ledger, Registry()), "ok"),
                              (replay(ledger, None, Registry()), "partial")):  # fmt: skip
            assert (check.ok, check.status, check.depth) == (True, status, "budgets")
            assert check_of(check, "budgets") == "pass"
            assert check_of(check, "transcript") == "not available"


def test_a_nodes_own_log_is_not_replayed_with_data_alone(done: Done) -> None:
    with pytest.raises(BadInput, match="beside its plan's"):
        replay(party_ledger(done.out, "spot"), done.data, Registry())


# ---- not everything is here


def all_parties(out: Path) -> None:
    shutil.rmtree(out / "parties")


def one_party(out: Path) -> None:
    party_ledger(out, "usdm").unlink()


def notes(body: bytes | None) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        (out / SIDECAR).unlink()
        if body is not None:
            (out / SIDECAR).write_bytes(body)

    return change


def end_and_parties(out: Path) -> None:
    """The last group cut off, and nobody left who could say so."""
    shutil.rmtree(out / "parties")
    with closing(sqlite3.connect(out / LEDGER)) as connection:
        connection.execute("DELETE FROM segments WHERE start = (SELECT max(start) FROM segments)")
        connection.commit()


LOSSES: dict[str, tuple[Callable[[Path], None], str]] = {
    "the parties' ledgers": (all_parties, "transcript"),
    "one party's ledger": (one_party, "venues: coinm, spot"),
    "the notes": (notes(None), "transcript"),
    "notes that are a list": (notes(b"[]"), "transcript"),
    "notes that are no text": (notes(b"\xff\xfe\x00"), "transcript"),
    "notes whose options are a list": (notes(b'{"scenario": "x", "options": []}'), "transcript"),
    "notes whose scenario is a number": (notes(b'{"scenario": 5, "options": {}}'), "transcript"),
    "the end of the ledger, and who saw it": (end_and_parties, "transcript"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_was_not_replayed_is_never_called_identical(copy: Done, loss: str) -> None:
    lose, reached = LOSSES[loss]
    lose(copy.out)
    verdict = replay(copy.ledger, None, Registry())
    assert (verdict.ok, verdict.status, verdict.reached) == (True, "partial", reached)
    assert verdict.missing
    result = CliRunner().invoke(program, ["replay", str(copy.ledger)])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"partial ({reached}): ")
    assert f"NOT REPLAYED: {'; '.join(verdict.missing)}" in result.stdout


def test_data_that_holds_no_party_is_bad_input(copy: Done, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="none of the parties") as refused:
        replay(copy.ledger, tmp_path / "empty", Registry())
    assert refused.value.field == "--data"
    assert "spot" in refused.value.advice
    assert exit_code("replay", str(copy.ledger), "--data", str(tmp_path / "empty")) == 2


# ---- something is different


SCENARIOS: dict[str, tuple[tuple[str, str], str]] = {
    "another goal": (('quantity = "1.5"', 'quantity = "1.4"'), "/body/goal/"),
    "more plans": (("plans = 2\n", "plans = 3\n"), "/body/plans_max"),
    "another mode": (('mode = "standing"', 'mode = "executed"'), "/body/"),
    "another deadline": (("join = 200", "join = 201"), "/body/deadlines/join"),
    "another policy": (("min_changed = 2", "min_changed = 1"), "/body/policy/min_changed"),
    "another start": (("every_ms = 1000\nplans = 2\n", "every_ms = 999\nplans = 2\n"),
                      "/body/every"),
    "another seed": (('seed = "tiny"', 'seed = "other"'), "/body/roster/coordinator"),
    "another solver option": (('name = "search"\n',
                               'name = "search"\n[solver.options]\nprobes = 7\n'),
                              "/body/solver_options/probes"),
    "another party's name": (('name = "usdm"', 'name = "usdn"'), "/body/roster/members/"),
    "another slot": (("slot = 2", "slot = 3"), "/body/roster/members/"),
    "another ledger": (('backend = "sqlite"', 'backend = "memory"'), "/body/plugins/"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_that_is_not_the_runs_is_found_in_its_order(copy: Done, name: str) -> None:
    change, pointer = SCENARIOS[name]
    text = scenario_text()
    assert text.replace(*change) != text
    (copy.data / "scenario.toml").write_text(text.replace(*change, 1))
    if name == "another party's name":
        (copy.data / "usdm").rename(copy.data / "usdn")
        (copy.data / "scenario.toml").write_text(text.replace('"usdm"', '"usdn"'))
    verdict = replay(copy.ledger, None, Registry())
    found = difference(verdict)
    assert check_of(verdict, "scenario") == "fail"
    assert entries(copy.ledger)[int(found["entry"])].header.kind == "order"
    assert found["pointer"].startswith(pointer)
    assert "run.json" in found["advice"]


def test_a_scenario_with_fewer_orders_than_were_begun_is_found(copy: Done) -> None:
    head, _, rest = scenario_text().partition("[[order]]")
    first, _, second = rest.partition("[[order]]")
    parties = second[second.index("[[party]]") :]
    (copy.data / "scenario.toml").write_text(f"{head}[[order]]{first}{parties}")
    found = difference(replay(copy.ledger, None, Registry()))
    assert found["recorded"] == "order 1"


def test_mutant_without_the_comparison_a_foreign_scenario_passes(
    copy: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venues, "check_orders", lambda *_: ("scenario", "pass", ""))
    text = scenario_text().replace("min_changed = 2", "min_changed = 1")
    (copy.data / "scenario.toml").write_text(text)
    assert replay(copy.ledger, None, Registry()).status == "identical"


def test_another_fee_is_found_in_that_partys_first_answer(copy: Done) -> None:
    (copy.data / "scenario.toml").write_text(scenario_text(usdm="1.7"))
    found = difference(replay(copy.ledger, None, Registry()))
    log = entries(party_ledger(copy.out, "usdm"))
    at = log[int(found["entry"])]
    assert at.header.kind == "reply"
    assert getattr(at.body, "round") == 1  # noqa: B009 -- a field of the body's own contract
    assert found["pointer"] == "/body/blob"
    assert "configuration of party 'usdm'" in found["advice"]


def test_one_changed_byte_of_a_capture_is_found_in_the_first_state(copy: Done) -> None:
    file = copy.data / "coinm/capture.gz"
    lines = gzip.decompress(file.read_bytes()).replace(b'"30"]', b'"31"]', 1)
    file.write_bytes(gzip.compress(lines, mtime=0))
    found = difference(replay(copy.ledger, None, Registry()))
    log = entries(party_ledger(copy.out, "coinm"))
    assert log[int(found["entry"])].header.kind == "snapshot"
    assert found["pointer"] in {"/body/blob", "/body/digest"}


def test_a_cut_capture_is_bad_input_and_names_the_file(copy: Done) -> None:
    file = copy.data / "spot/capture.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(CaptureDamaged) as refused:
        replay(copy.ledger, None, Registry())
    assert refused.value.file == str(file)


@pytest.mark.parametrize("family", ["domains", "solvers", "privacy", "venues", "engines"])
def test_a_plugin_of_other_content_is_found_in_the_order(
    done: Done, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    def other(self: Registry, asked: str, name: str) -> PluginRef:
        here = real(self, asked, name)
        return here.model_copy(update={"content": "0" * 64}) if asked == family else here

    real = Registry.ref
    monkeypatch.setattr(Registry, "ref", other)
    found = difference(verify(done.ledger, Registry()))
    assert found["recomputed"] == "0" * 64
    order = entries(done.ledger)[int(found["entry"])].body
    assert isinstance(order, Order)
    place = int(found["pointer"].split("/")[3])
    assert found["pointer"] == f"/body/plugins/{place}/content"
    assert order.plugins[place].family == family
    assert order.plugins[place].content == found["recorded"]


def test_a_plugin_of_another_version_is_found_by_its_version(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(self: Registry, family: str, name: str) -> PluginRef:
        return real(self, family, name).model_copy(update={"version": "9"})

    real = Registry.ref
    monkeypatch.setattr(Registry, "ref", other)
    found = difference(verify(done.ledger, Registry()))
    assert found["pointer"] == "/body/plugins/0/version"
    assert found["recomputed"] == "9"


# ---- a coordinator that signs what did not happen


def one_more(body: Contract) -> Contract:
    """A total with one more in its first word."""
    values = from_text(getattr(body, "words")).tolist()  # noqa: B009 -- a field of its contract
    return body.model_copy(update={"words": to_text(words([values[0] + 1, *values[1:]]))})


def updated(**fields: object) -> Callable[[Contract], Contract]:
    return lambda body: body.model_copy(update=fields)


FORGERIES: dict[str, tuple[str, Callable[[Contract], Contract | None]]] = {
    "a total with one lot more": ("signals.total", one_more),
    "another proposal": ("plan.delta", updated(value="1")),
    "another proof of the proposal": ("plan.delta", updated(transcript="0" * 64)),
    "another worth of a plan that stands": ("plan.stands", updated(value="1")),
    "a plan that stands and is left out": ("plan.stands", lambda _: None),
    "a go for less": ("plan.go", updated(total=("1",))),
    "a go that is valid longer": ("plan.go", updated(valid_until="1900000000000000000")),
    "a settlement of nothing": ("plan.settled", updated(executed=("0",))),
    "a close that leaves more": ("plan.close", updated(reason="settled?")),
    "a plan of another time": ("plan.open", updated(as_of="1")),
    "a question to others": ("query", updated(width=1)),
    "a go that is left out": ("plan.go", lambda _: None),
    "a total that is left out": ("signals.total", lambda _: None),
    "a message that is left out": ("submit", lambda _: None),
    "a message of another sender": ("submit", updated(sender=COORDINATOR.key.did)),
    "a message of another round": ("submit", updated(round=7)),
    "a deadline at another time": ("deadline", updated(due="1")),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_coordinator_that_signs_something_else_is_found(
    done: Done, tmp_path: Path, name: str
) -> None:
    kind, change = FORGERIES[name]
    forged = forge(done.ledger, COORDINATOR, tmp_path / "forged", once(kind, change))
    assert len(forged.changed) == 1
    found = difference(verify(forged.path, Registry()))
    assert abs(int(found["entry"]) - forged.changed[0]) <= 3
    assert "install" not in found["advice"], "the plugins were compared first"


def test_a_message_that_nobody_signed_is_found(done: Done, tmp_path: Path) -> None:
    """The bytes of one message under the entry of another."""
    submits = [e.body for e in entries(done.ledger) if e.header.kind == "submit"]
    other = getattr(submits[4], "blob")  # noqa: B009 -- a field of its contract
    change = once("submit", updated(blob=other))
    forged = forge(done.ledger, COORDINATOR, tmp_path / "forged", change)
    found = difference(verify(forged.path, Registry()))
    assert int(found["entry"]) == forged.changed[0]


def test_a_node_that_spends_more_than_its_budget_is_found(done: Done, tmp_path: Path) -> None:
    def tight(body: Contract) -> Contract:
        budget = getattr(body, "budget").model_copy(update={"exact_max": "9"})  # noqa: B009 -- a field of its contract
        return body.model_copy(update={"budget": budget})

    ledger = party_ledger(done.out, "spot")
    forged = forge(ledger, SPOT, tmp_path / "forged", once("budget.open", tight))
    found = difference(verify(forged.path, Registry()))
    charges = [i for i, e in enumerate(entries(forged.path)) if e.header.kind == "budget.charge"]
    assert int(found["entry"]) == charges[9]


def replayed_with(copy: Done, party: str, ledger: Path) -> Verdict:
    """Replay with another log in the place of a party's own."""
    party_ledger(copy.out, party).unlink()
    shutil.copy(ledger, party_ledger(copy.out, party))
    return replay(copy.ledger, None, Registry())


NODE_FORGERIES: dict[str, tuple[str, Callable[[Contract], Contract | None]]] = {
    "a charge of nothing": ("budget.charge", lambda _: None),
    "another memory": ("memory", updated(memory="0" * 64)),
    "an action under another id": ("action", updated(order="0" * 64)),
    "a state that is called unchanged": ("snapshot", updated(changed=False)),
    "an outcome that is left out": ("outcome", lambda _: None),
}


@pytest.mark.parametrize("name", NODE_FORGERIES)
def test_a_party_that_signs_something_else_is_found_with_its_data(
    copy: Done, tmp_path: Path, name: str
) -> None:
    kind, change = NODE_FORGERIES[name]
    ledger = party_ledger(copy.out, "spot")
    forged = forge(ledger, SPOT, tmp_path / "forged", once(kind, change))
    assert forged.changed
    found = difference(replayed_with(copy, "spot", forged.path))
    assert abs(int(found["entry"]) - forged.changed[0]) <= 12


def test_a_party_log_of_another_key_is_bad_input(copy: Done) -> None:
    with pytest.raises(BadInput, match="key"):
        replayed_with(copy, "spot", party_ledger(copy.out, "usdm"))


def test_a_party_that_followed_another_history_is_found(
    copy: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last close says something else to the party than to the world; nothing hangs on it."""
    monkeypatch.setattr(venues, "verify", lambda *_: Verdict(True, "ok", "transcript", ()))
    shutil.copy(forge(copy.ledger, COORDINATOR, copy.out / "other", last_close).path, copy.ledger)
    found = difference(replay(copy.ledger, None, Registry()))
    assert found["pointer"] == "/root"
    assert int(found["entry"]) == len(entries(copy.ledger))


def test_mutant_without_the_comparison_of_histories_nothing_is_found(
    copy: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venues, "verify", lambda *_: Verdict(True, "ok", "transcript", ()))
    monkeypatch.setattr(venues, "_check_followed", lambda *_: None)
    monkeypatch.setattr(venues, "_rebuild", lambda *_: ("full", "pass", ""))
    shutil.copy(forge(copy.ledger, COORDINATOR, copy.out / "other", last_close).path, copy.ledger)
    assert replay(copy.ledger, None, Registry()).status == "identical"


def last_close(_: int, kind: str, body: Contract) -> Contract:
    ends = kind == "plan.close" and getattr(body, "order_done")  # noqa: B009 -- a field of its contract
    return body.model_copy(update={"reason": "otherwise"}) if ends else body


# ---- the command line


def exit_code(*arguments: str) -> int:
    return CliRunner().invoke(program, [*arguments]).exit_code


def test_the_commands_exit_as_documented(copy: Done) -> None:
    ledger = str(copy.ledger)
    assert exit_code("verify", ledger) == 0
    assert exit_code("replay", ledger) == 0
    assert exit_code("replay", ledger, "--data", str(copy.data)) == 0
    assert exit_code("verify", str(copy.out / "nothing")) == 2
    assert exit_code("replay", ledger, "--data", str(copy.out / "nothing")) == 2
    (copy.data / "scenario.toml").write_text(scenario_text(usdm="1.7"))
    assert exit_code("verify", ledger) == 0
    assert exit_code("replay", ledger) == 1


def test_the_first_difference_is_printed_as_one_object(copy: Done) -> None:
    (copy.data / "scenario.toml").write_text(scenario_text(usdm="1.7"))
    result = CliRunner().invoke(program, ["replay", str(copy.ledger), "--json"])
    document = json.loads(result.stdout)
    assert document["status"] == "differs"
    assert document["difference"]["pointer"] == "/body/blob"


def test_unreadable_notes_beside_a_ledger_leave_the_transcript(copy: Done) -> None:
    (copy.out / SIDECAR).write_text("{")
    verdict = replay(copy.ledger, None, Registry())
    assert (verdict.ok, verdict.depth) == (True, "transcript")
    assert verdict.status == "partial"
    with pytest.raises(BadInput, match=SIDECAR):
        replay(copy.ledger, copy.data, Registry())
