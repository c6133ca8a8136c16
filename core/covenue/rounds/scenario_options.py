"""A scenario's own options: they change the document before it is checked.

`sets` writes one free value to dotted places; `choices` writes the values of the chosen row.
A default fills only places about which the file is silent, so an edited file means what it says.
A place names parties by name and other arrays by number: `party.spot.config.fee_bps`.
Every scenario also has the options of `STANDARD`, unless it declares one of that name itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from covenue.errors import BadInput, replaced
from covenue.registry.names import nearest
from covenue.rounds.scenario_table import DecimalText, Table, shown

KEYS = ("help", "default", "sets", "choices")


@dataclass(frozen=True)
class ScenarioOption:
    """One option: `--name VALUE`. sets: dotted places; choices: by choice, value by place."""

    name: str
    help: str
    default: str | None
    sets: tuple[str, ...]
    choices: Mapping[str, Mapping[str, Any]]

    def describe(self) -> str:
        """`--fees regular|retail`, or `--quantity VALUE`."""
        return f"--{self.name} {'|'.join(sorted(self.choices)) or 'VALUE'}"


SOLVER_OPTION = ScenarioOption(
    "solver",
    "Another capable solver, with its defaults; auto chooses one, and says why",
    None,
    ("solver.name",),
    {},
)
STANDARD = (
    ScenarioOption(
        "privacy",
        "Another mechanism, its parts joined by +",
        None,
        ("privacy.mechanism",),
        {},
    ),
    SOLVER_OPTION,
)
"""What every scenario can be run with instead of what its file says."""


def read_options(root: Table) -> tuple[ScenarioOption, ...]:
    """A scenario's options, declared and standard, sorted by name. Raises BadInput."""
    table = root.table("options")
    declared = tuple(_option(table, name) for name in table.values)
    taken = {option.name for option in declared}
    standard = (option for option in STANDARD if option.name not in taken)
    return tuple(sorted((*declared, *standard), key=lambda option: option.name))


def _option(table: Table, name: str) -> ScenarioOption:
    one = table.table(name, KEYS)
    choices = {
        choice: dict(_leaves(one.file, f"{one.where}.choices.{choice}", values))
        for choice, values in one.table("choices").values.items()
    }
    sets = _places(one)
    if bool(sets) == bool(choices):
        raise one.bad("", "an option has either `sets` or `choices`", "give one of the two")
    default = shown(one.values["default"]) if "default" in one.values else None
    option = ScenarioOption(name, one.text("help", ""), default, sets, choices)
    if choices and default is not None and default not in choices:
        raise one.bad(
            "default", "the default is none of the choices", _pick(option, default), default
        )
    return option


def _places(one: Table) -> tuple[str, ...]:
    value = one.values.get("sets", [])
    if not isinstance(value, list) or not all(isinstance(place, str) for place in value):
        raise one.bad(
            "sets", "`sets` is no list of places", 'write sets = ["domain.goal.…"]', value
        )
    return tuple(value)


def _leaves(file: str, where: str, values: Any) -> Iterator[tuple[str, Any]]:
    """Places and values of one choice; quoted and nested dotted keys mean the same."""
    if not isinstance(values, dict):
        raise BadInput(
            "a choice is no table", f"write [{where}]", file=file, field=where, value=shown(values)
        )
    for key, value in values.items():
        if isinstance(value, dict):
            for place, leaf in _leaves(file, f"{where}.{key}", value):
                yield f"{key}.{place}", leaf
        else:
            yield key, value


def apply_options(
    file: str,
    document: dict[str, Any],
    options: tuple[ScenarioOption, ...],
    given: Mapping[str, str],
) -> dict[str, str]:
    """Write the given values, then defaults where the file is silent; the given ones by option.

    Applying what is returned to the same file gives the same document.
    Raises BadInput on an option that the scenario does not have, or a value that does not fit.
    """
    known = {option.name.replace("_", "-"): option for option in options}
    solver = _solver(document)
    wanted = {name.replace("_", "-"): value for name, value in given.items()}
    for name in sorted(set(wanted) - set(known)):
        raise _no_option(file, name, known)
    for name, option in known.items():
        value = wanted.get(name, option.default)
        if value is None:
            continue
        for place, leaf in _writes(file, document, option, value):
            _write(file, document, place, leaf, keep=name not in wanted)
    if _solver(document) != solver:
        document["solver"].pop("options", None)  # they were another solver's
    return dict(sorted(wanted.items()))


def check_places(file: str, document: dict[str, Any], options: tuple[ScenarioOption, ...]) -> None:
    """Refuse options that would write nowhere, whether they are given or not. Raises BadInput."""
    for option in options:
        written = {place for row in option.choices.values() for place in row}
        for place in (*option.sets, *sorted(written)):
            try:
                _steps(file, document, place, make=False)
            except BadInput as error:
                raise replaced(error, field=f"options.{option.name}", value=place) from error


def _solver(document: Mapping[str, Any]) -> Any:
    table = document.get("solver")
    return table.get("name") if isinstance(table, dict) else None


def _no_option(file: str, name: str, known: Mapping[str, ScenarioOption]) -> BadInput:
    close = nearest(name, known)
    listed = ", ".join(option.describe() for option in known.values()) or "none"
    return BadInput(
        f"the scenario has no option --{name}",
        (f"did you mean --{close}? " if close else "") + f"its options: {listed}",
        file=file,
        field=f"--{name}",
    )


def _pick(option: ScenarioOption, value: str) -> str:
    close = nearest(value, option.choices)
    hint = f"did you mean {close!r}? " if close else ""
    return f"{hint}possible: {', '.join(sorted(option.choices))}"


def _writes(
    file: str, document: dict[str, Any], option: ScenarioOption, value: str
) -> Iterator[tuple[str, Any]]:
    if option.choices:
        if value not in option.choices:
            raise BadInput(
                f"--{option.name} cannot be {value!r}",
                _pick(option, value),
                file=file,
                field=f"--{option.name}",
                value=value,
            )
        yield from option.choices[value].items()
        return
    for place in option.sets:
        yield place, _typed(file, option, value, _read(file, document, place))


def _typed(file: str, option: ScenarioOption, value: str, present: Any) -> Any:
    """The text of the command line, as the type that stands in the file."""
    if isinstance(present, list):
        return value.split("+")
    if isinstance(present, bool):
        if value not in ("true", "false"):
            raise _misfit(file, option, value, "true or false")
        return value == "true"
    if present is None or isinstance(present, int | DecimalText):
        if value.lstrip("+-").isdecimal() and value.isascii():
            return int(value) if len(value) < 40 else value
        try:
            Decimal(value)
        except InvalidOperation:
            if present is None:
                return value
            raise _misfit(file, option, value, "a number") from None
        return DecimalText.from_literal(value)
    return value


def _misfit(file: str, option: ScenarioOption, value: str, wanted: str) -> BadInput:
    return BadInput(
        f"--{option.name} takes {wanted}, not {value!r}",
        f"give --{option.name} {wanted}",
        file=file,
        field=f"--{option.name}",
        value=value,
    )


def _steps(file: str, document: dict[str, Any], place: str, make: bool) -> tuple[Any, str]:
    """The table that holds the last part of a place, and that part."""
    *parents, last = place.split(".")
    at: Any = document
    for step in parents:
        at = _descend(at, step, make)
        if at is None:
            break
    if not isinstance(at, dict):
        raise BadInput(
            f"the option's place {place!r} leads nowhere",
            "name parties by name: party.NAME.config.KEY",
            file=file,
            field=place,
        )
    return at, last


def _descend(at: Any, step: str, make: bool) -> Any:
    if isinstance(at, list):
        named = [item for item in at if isinstance(item, dict) and item.get("name") == step]
        if named:
            return named[0]
        return at[int(step)] if step.isdecimal() and int(step) < len(at) else None
    if isinstance(at, dict):
        return at.setdefault(step, {}) if make else at.get(step, {})
    return None


def _read(file: str, document: dict[str, Any], place: str) -> Any:
    at, last = _steps(file, document, place, make=False)
    return at.get(last)


def _write(file: str, document: dict[str, Any], place: str, value: Any, *, keep: bool) -> None:
    at, last = _steps(file, document, place, make=True)
    if not (keep and last in at):
        at[last] = value
