"""A dialect that would drop, merge or round anything is refused by name before it reads a word."""

from dataclasses import replace
from fractions import Fraction

import pytest

from covenue.bridge.energibridge import EnergiBridge
from covenue.bridge.soundness import faults
from covenue.errors import PluginBroken
from covenue.hooks.dialects import (
    Binary,
    Cases,
    Dialect,
    Field,
    Hex,
    Instant,
    Int64s,
    Listed,
    Maybe,
    Measured,
    MessageType,
    Named,
    Record,
    Same,
    Scaled,
    Value,
    respelled,
)
from covenue_domain_arbitrage.dialect import ARBSPHERE
from covenue_domain_execution.dialect import EXPROVE
from covenue_domain_routing.dialect import EXOROUTE

METADATA = EXOROUTE.metadata


def same(name: str) -> str:
    return name


def speaking(*types: MessageType, name: str = "tiny", metadata: Record = METADATA) -> Dialect:
    return Dialect(name, "A dialect for tests", metadata, types)


def budget(*changed: Field) -> MessageType:
    """A privacy budget by its contract's names, but for the fields that are given."""
    fields = {field.contract: field for field in respelled("privacy-budget/v1", same).fields}
    fields.update({field.contract: field for field in changed})
    return MessageType("Budget", "privacy-budget/v1", Record(tuple(fields.values())))


def valued(kind: str, field: str, value: Value) -> MessageType:
    """A contract by its own names, one field of it written in another way."""
    fields = tuple(
        replace(item, value=value) if item.contract == field else item
        for item in respelled(kind, same).fields
    )
    return MessageType("Thing", kind, Record(fields))


def without(kind: str, field: str) -> MessageType:
    fields = tuple(item for item in respelled(kind, same).fields if item.contract != field)
    return MessageType("Thing", kind, Record(fields))


SCOPE = {"replace-one-venue": "VENUE", "replace-one-program": "PROGRAM"}
PROBLEM = MessageType(
    "Problem",
    "local-problem/v1",
    Record(
        (
            *respelled("local-problem/v1", same).fields,
            Field("goal", "goal", respelled("goal/v1", same)),
            Field("data", "data", Cases("domain", {})),
        )
    ),
)

BROKEN: dict[str, tuple[Dialect, str, str]] = {
    "a field is dropped": (
        speaking(without("privacy-budget/v1", "rho_max")),
        "Thing/rho_max",
        "it would be dropped",
    ),
    "a nested field is dropped": (
        speaking(valued("plan.delta/v1", "multipliers", Maybe(Record((Field("values", "v"),))))),
        "Thing/multipliers/scale_bits",
        "it would be dropped",
    ),
    "a field of metadata is dropped": (
        speaking(metadata=Record(METADATA.fields[1:])),
        "metadata/sender",
        "it would be dropped",
    ),
    "two fields share a place": (
        speaking(budget(Field("rho_max", "limit"), Field("exact_max", "limit"))),
        "Budget/limit",
        "two fields share that spelled place",
    ),
    "a field lies inside another": (
        speaking(budget(Field("rho_max", "limit"), Field("exact_max", "limit/exact"))),
        "Budget/limit",
        "two fields share that spelled place",
    ),
    "a field is named twice": (
        speaking(
            MessageType(
                "Budget",
                "privacy-budget/v1",
                Record((*budget().body.fields, Field("signal", "again"))),
            )
        ),
        "Budget/signal",
        "two fields share that canonical place",
    ),
    "a field that no contract has": (
        speaking(budget(Field("epsilon", "epsilon"))),
        "Budget/epsilon",
        "the contract has no such field",
    ),
    "a name beyond ASCII": (
        speaking(budget(Field("rho_max", "ρ"))),
        "Budget",
        "is empty or not ASCII",
    ),
    "a factor whose decimals do not end": (
        speaking(valued("privacy-budget/v1", "rho_max", Scaled(Fraction(1, 3)))),
        "Thing/rho_max",
        "it would round",
    ),
    "a factor of zero": (
        speaking(valued("privacy-budget/v1", "rho_max", Scaled(Fraction(0)))),
        "Thing/rho_max",
        "it would round",
    ),
    "a grid too fine": (
        speaking(valued("privacy-budget/v1", "rho_max", Binary(63))),
        "Thing/rho_max",
        "2^-62",
    ),
    "a grid that nobody states": (
        speaking(valued("privacy-budget/v1", "rho_max", Binary("bits"))),
        "Thing/rho_max",
        "which no field around it tells",
    ),
    "a unit that nobody states": (
        speaking(valued("privacy-budget/v1", "rho_max", Measured("instrument/tick"))),
        "Thing/rho_max",
        "which no field around it tells",
    ),
    "a unit that needs itself": (
        speaking(valued("privacy-budget/v1", "rho_max", Measured("rho_max"))),
        "Thing/rho_max",
        "which needs it",
    ),
    "two words become one": (
        speaking(valued("privacy-budget/v1", "adjacency", Named(dict.fromkeys(SCOPE, "ONE")))),
        "Thing/adjacency",
        "could not be read back",
    ),
    "a word of the contract has no spelling": (
        speaking(valued("privacy-budget/v1", "adjacency", Named({"replace-one-venue": "VENUE"}))),
        "Thing/adjacency",
        "replace-one-program",
    ),
    "a null where none may be": (
        speaking(valued("privacy-budget/v1", "rho_max", Maybe(Binary(40)))),
        "Thing/rho_max",
        "it is never null",
    ),
    "no null where one may be": (
        speaking(valued("snapshot/v1", "digest", Hex())),
        "Thing/digest",
        "does not read what the contract writes",
    ),
    "a list of what is none": (
        speaking(valued("privacy-budget/v1", "rho_max", Listed(Binary(40)))),
        "Thing/rho_max",
        "it is no list",
    ),
    "a map of what is none": (
        speaking(valued("privacy-budget/v1", "rho_max", Record(()))),
        "Thing/rho_max",
        "it is no map",
    ),
    "hex of what is no base64": (
        speaking(valued("plan.delta/v1", "transcript", Hex())),
        "Thing/transcript",
        "Hex does not read",
    ),
    "words of what is no base64": (
        speaking(valued("plan.delta/v1", "transcript", Int64s())),
        "Thing/transcript",
        "Int64s does not read",
    ),
    "an instant of what is no time": (
        speaking(valued("privacy-budget/v1", "rho_max", Instant())),
        "Thing/rho_max",
        "Instant does not read",
    ),
    "text of what is a number": (
        speaking(valued("privacy-budget/v1", "delta_exponent", Scaled())),
        "Thing/delta_exponent",
        "Scaled does not read",
    ),
    "cases where nothing decides": (
        speaking(valued("privacy-budget/v1", "signal", Cases("adjacency", {}))),
        "Thing/signal",
        "has cases",
    ),
    "cases told by the wrong field": (
        speaking(PROBLEM),
        "Problem/data",
        "write Cases by that",
    ),
    "optional where the contract demands it": (
        speaking(budget(Field("rho_max", "rho", Same(), optional=True))),
        "Budget/rho_max",
        "optional on one side only",
    ),
    "demanded where an envelope may lack it": (
        speaking(metadata=Record((*METADATA.fields[1:], Field("sender", "from")))),
        "metadata/sender",
        "optional on one side only",
    ),
    "an optional field on a longer path": (
        speaking(metadata=Record((*METADATA.fields[1:], Field("sender", "by/did", optional=True)))),
        "metadata/sender",
        "its absence could not be told",
    ),
    "a contract that nobody knows": (
        speaking(MessageType("Thing", "thing/v9", Record(()))),
        "Thing",
        "'thing/v9'",
    ),
    "one name for two messages": (
        speaking(budget(), replace(valued("join/v1", "setup", Hex()), name="Budget")),
        "its messages",
        "'Budget' stands twice",
    ),
    "two messages for one contract": (
        speaking(budget(), replace(budget(), name="Allowance")),
        "its messages",
        "'privacy-budget/v1' stands twice",
    ),
    "the name of the contracts themselves": (
        speaking(name="canonical"),
        "its name",
        "contracts themselves",
    ),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_a_broken_dialect_is_refused_by_name(sentence: str) -> None:
    dialect, where, why = BROKEN[sentence]
    assert [item for item in faults(dialect) if item[0] == where and why in item[1]]
    with pytest.raises(PluginBroken) as refused:
        EnergiBridge([dialect])
    assert repr(dialect.name) in refused.value.what


SOUND = {
    "a budget in the contract's names": speaking(budget()),
    "a budget in units of rho": speaking(budget(Field("rho_max", "rho", Binary(40)))),
    "words in another spelling": speaking(valued("privacy-budget/v1", "adjacency", Named(SCOPE))),
    "hex": speaking(valued("upload/v1", "body", Hex())),
    "a number times a thousand": speaking(
        valued("privacy-budget/v1", "delta_exponent", Scaled(Fraction(1000), is_text=False))
    ),
    "a digest that may be null": speaking(valued("snapshot/v1", "digest", Maybe(Same()))),
    "no messages at all": speaking(),
    "exoroute": EXOROUTE,
    "arbsphere": ARBSPHERE,
    "exprove": EXPROVE,
}


@pytest.mark.parametrize("sentence", SOUND)
def test_a_sound_dialect_is_taken(sentence: str) -> None:
    assert list(faults(SOUND[sentence])) == []
    assert EnergiBridge([SOUND[sentence]]).dialects == (SOUND[sentence],)


def test_two_dialects_of_one_name_are_refused() -> None:
    with pytest.raises(PluginBroken, match="two domains speak a dialect 'tiny'"):
        EnergiBridge([speaking(), speaking()])
