"""`covenue demo`: a shipped scenario, run, replayed and summed up."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covenue.cli.failures import FAILED
from covenue.cli.printing import json_option, plain, print_json, print_table, watching
from covenue.cli.scenario_arguments import (
    ANY_OPTION,
    compare_option,
    one_positional,
    out_option,
    pace_option,
    refuse_used,
    split_arguments,
)
from covenue.cli.summary import came_through, print_summary, summed_up
from covenue.errors import BadInput, CovenueError, PluginUnknown

if TYPE_CHECKING:
    from covenue.hooks.domains import Scenario
    from covenue.registry.load import Registry

OUT = Path("covenue-demo")


@click.command("demo", context_settings=ANY_OPTION)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[NAME] [--OPTION VALUE]…")
@click.option("--list", "only_list", is_flag=True, help="List shipped scenarios and their options.")
@compare_option
@pace_option
@out_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    arguments: tuple[str, ...],
    only_list: bool,
    compare: str | None,
    pace: float,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run a shipped scenario, replay it, and show what came out.

    NAME is a scenario of an installed domain (default: the first). Its own options follow, as
    `--list` prints them. Without --out, everything is written to ./covenue-demo.
    """
    from covenue.registry.load import Registry

    registry = Registry()
    positional, options = split_arguments(arguments)
    name = one_positional(positional, "scenario")
    shipped = _shipped(registry)
    if only_list:
        _print_scenarios(shipped, as_json)
        return
    scenario = _choose(shipped, name)
    summary = _run_and_replay(
        registry, scenario.path, options, out or OUT, compare=compare, pace=pace, as_json=as_json
    )
    if as_json:
        print_json(summary)
    else:
        print_summary(f"demo {scenario.name}", summary)
    disagrees = not summary.get("compared", {"agree": True})["agree"]
    if not came_through(summary.get("status")) or summary["replay"] != "identical" or disagrees:
        ctx.exit(FAILED)


def _shipped(registry: "Registry") -> list["Scenario"]:
    """Scenarios of every domain by rank and name; a broken domain is named, and passed over."""
    found: list[Scenario] = []
    broken: list[CovenueError] = []
    for domain in registry.names("domains"):
        try:
            scenarios: Sequence[Scenario] = registry.build("domains", domain).scenarios()
            found.extend(scenarios)
        except CovenueError as error:
            broken.append(error)
            click.echo(plain(str(error), lines=True), err=True)
    if not found:
        if broken:
            raise broken[0]
        raise PluginUnknown(
            "no installed plugin ships a scenario",
            _install_a_domain(),
            field="domain",
        )
    return sorted(found, key=lambda scenario: (scenario.rank, scenario.name))


def _install_a_domain() -> str:
    from covenue.registry.names import pip_command, starter_ids

    domains = [plugin for plugin in starter_ids() if plugin.startswith("covenue-domain-")]
    return pip_command(domains[0]) if domains else "install a domain plugin"


def _choose(shipped: "Sequence[Scenario]", name: str | None) -> "Scenario":
    from covenue.registry.names import nearest

    if name is None:
        return shipped[0]
    for scenario in shipped:
        if scenario.name == name:
            return scenario
    names = [scenario.name for scenario in shipped]
    if Path(name).suffix == ".toml":
        advice = f"run a file of your own with `covenue run {name}`"
    else:
        close = nearest(name, names)
        advice = f"did you mean {close!r}?" if close else f"shipped: {', '.join(names)}"
    raise BadInput(
        f"no installed domain ships a scenario {name!r}", advice, field="NAME", value=name
    )


def _print_scenarios(shipped: "Sequence[Scenario]", as_json: bool) -> None:
    from covenue.rounds.scenario import scenario_options

    rows = [(s.name, s.summary, [o.describe() for o in scenario_options(s.path)]) for s in shipped]
    if as_json:
        keys = ("name", "summary", "options")
        print_json({"scenarios": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    lines = [(name, summary, "  ".join(options)) for name, summary, options in rows]
    print_table("shipped scenarios", ("name", "summary", "options"), lines)


def _run_and_replay(
    registry: "Registry",
    path: Path,
    options: dict[str, str],
    out: Path,
    *,
    compare: str | None,
    pace: float,
    as_json: bool,
) -> dict[str, Any]:
    from covenue.cli.comparing import compared_with
    from covenue.replay import replay
    from covenue.rounds.preflight import prepare
    from covenue.rounds.scenario import read_scenario
    from covenue.rounds.session import run

    target = refuse_used(out)
    prepared = prepare(read_scenario(path, options), registry)
    with watching(as_json=as_json) as show:
        other = compared_with(registry, path, options, compare)
        result = run(prepared, target, show, pace)
        compared = other(result, show, pace)
    return summed_up(result, replay(result.ledger, None, registry)) | compared
