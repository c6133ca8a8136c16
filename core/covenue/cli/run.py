"""`covenue run`: a scenario file, checked only, run, or resumed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covenue.cli.failures import FAILED
from covenue.cli.printing import json_option, plain, print_json, print_table, watching
from covenue.cli.scenario_arguments import (
    ANY_OPTION,
    PATH,
    compare_option,
    existing_ledger,
    one_positional,
    out_option,
    pace_option,
    refuse_used,
    split_arguments,
)
from covenue.cli.summary import came_through, print_summary, summed_up
from covenue.errors import BadInput

if TYPE_CHECKING:
    from covenue.registry.load import Registry
    from covenue.rounds.scenario import ScenarioFile
    from covenue.rounds.session import RunResult


@click.command("run", context_settings=ANY_OPTION)
@click.argument(
    "arguments", nargs=-1, type=click.UNPROCESSED, metavar="[SCENARIO.toml] [--OPTION VALUE]…"
)
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing.")
@click.option(
    "--resume",
    type=PATH,
    metavar="LEDGER",
    help="Continue an interrupted run from its ledger.",
)
@click.option(
    "--what-if",
    "what_ifs",
    multiple=True,
    metavar="KEY.PARTY=VALUE",
    help="Show the first plan with another private setting, like fee.spot=1.0 (bps); no ledger.",
)
@compare_option
@pace_option
@out_option
@json_option
def command(
    *,
    arguments: tuple[str, ...],
    dry_run: bool,
    resume: Path | None,
    what_ifs: tuple[str, ...],
    compare: str | None,
    pace: float,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run a scenario file, or resume an interrupted run.

    Options that the scenario declares follow its path. Without --out, everything is written to
    ./covenue-<scenario's name>.
    """
    from covenue.registry.load import Registry

    registry = Registry()
    if resume is not None:
        if arguments or dry_run or what_ifs or compare is not None or out is not None:
            raise BadInput(
                "--resume continues a run as it was begun",
                "give --resume LEDGER alone",
                field="--resume",
                value=str(resume),
            )
        _finish(_resume(registry, resume, pace, as_json), {}, as_json)
        return
    if what_ifs and (dry_run or compare is not None or out is not None):
        raise BadInput(
            "--what-if plans once and writes nothing",
            "leave out --dry-run, --compare and --out, or leave out --what-if",
            field="--what-if",
            value=", ".join(what_ifs),
        )
    positional, options = split_arguments(arguments)
    path = one_positional(positional, "scenario file")
    if path is None:
        raise BadInput("no scenario file is given", "covenue run SCENARIO.toml, or covenue demo")
    from covenue.rounds.scenario import read_scenario

    scenario = read_scenario(Path(path), options)
    if dry_run:
        _dry_run(registry, scenario, as_json)
        return
    if what_ifs:
        _what_if(registry, scenario, what_ifs, as_json)
        return
    target = refuse_used(out or Path(f"covenue-{scenario.name}"))
    result, compared = _run(registry, scenario, target, compare, pace=pace, as_json=as_json)
    _finish(result, compared, as_json)


def _run(
    registry: "Registry",
    scenario: "ScenarioFile",
    target: Path,
    compare: str | None,
    *,
    pace: float,
    as_json: bool,
) -> "tuple[RunResult, dict[str, Any]]":
    from covenue.cli.comparing import compared_with
    from covenue.rounds.preflight import prepare
    from covenue.rounds.session import run

    prepared = prepare(scenario, registry)
    other = compared_with(registry, scenario.path, scenario.chosen, compare)
    with watching(as_json=as_json) as show:
        result = run(prepared, target, show, pace)
        return result, other(result, show, pace)


def _resume(registry: "Registry", ledger: Path, pace: float, as_json: bool) -> "RunResult":
    from covenue.rounds.output import refuse_unbegun
    from covenue.rounds.session import resume

    refuse_unbegun(ledger if ledger.is_dir() else ledger.parent)
    path = existing_ledger(ledger)
    with watching(as_json=as_json) as show:
        return resume(path, registry, show, pace)


def _what_if(
    registry: "Registry", scenario: "ScenarioFile", texts: tuple[str, ...], as_json: bool
) -> None:
    from covenue.rounds.what_if import differences, parse_setting, what_if

    answer = what_if(scenario, [parse_setting(text) for text in texts], registry)
    if as_json:
        print_json(answer)
        return
    tried = ", ".join(texts)
    for number, (before, after) in enumerate(zip(answer["before"], answer["after"], strict=True)):
        changed = differences(before, after)
        rows = [row for figure in changed for row in _rows(after["venues"], *figure)]
        title = f"order {number}, first plan, if {tried}; nothing was written"
        print_table(title, ("figure", "as it is", "as it would be"), rows)


def _rows(venues: list[str], name: str, old: Any, new: Any) -> list[tuple[str, str, str]]:
    """A figure as rows: one that each venue has its own of, venue by venue."""
    if not (isinstance(old, list) and isinstance(new, list) and len(old) == len(new)):
        return [(name, str(old), str(new))]
    if len(old) != len(venues):
        return [(name, ", ".join(map(str, old)), ", ".join(map(str, new)))]
    rows = zip(venues, old, new, strict=True)
    return [(f"{name}, {venue}", _told(a), _told(b)) for venue, a, b in rows if a != b]


def _told(value: Any) -> str:
    return str(value["because"]) if isinstance(value, dict) and "because" in value else str(value)


def _dry_run(registry: "Registry", scenario: "ScenarioFile", as_json: bool) -> None:
    from covenue.rounds.preflight import prepare

    prepared = prepare(scenario, registry)
    scenario, warnings = prepared.scenario, prepared.warnings
    wanted = {("domains", scenario.domain), ("solvers", scenario.solver)}
    wanted |= {("ledgers", scenario.ledger), ("engines", scenario.engine)}
    wanted |= {("privacy", name) for name in scenario.privacy}
    wanted |= {("venues", party.venue) for party in scenario.parties}
    plugins = [registry.ref(*pair).model_dump(mode="json") for pair in sorted(wanted)]
    if as_json:
        print_json(
            {
                "status": "ready",
                "scenario": scenario.name,
                "parties": len(scenario.parties),
                "orders": len(scenario.orders),
                "options": dict(scenario.chosen),
                **({"solver_why": prepared.why} if prepared.why else {}),
                "plugins": plugins,
                "warnings": list(warnings),
            }
        )
        return
    columns = ("family", "name", "plugin", "version", "content")
    rows = [[str(plugin[column]) for column in columns] for plugin in plugins]
    print_table(f"{scenario.name} is ready to run; nothing was written", columns, rows)
    if prepared.why:
        click.echo(plain(f"solver {scenario.solver}, chosen by auto: {prepared.why}"))
    for warning in warnings:
        click.echo(plain(f"warning: {warning}"))


def _finish(result: "RunResult", compared: dict[str, Any], as_json: bool) -> None:
    summary = summed_up(result) | compared
    if as_json:
        print_json(summary)
    else:
        print_summary("run", summary)
    disagrees = not summary.get("compared", {"agree": True})["agree"]
    if not came_through(result.status) or disagrees:
        click.get_current_context().exit(FAILED)
