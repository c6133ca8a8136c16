"""Generated canonical messages that dialects can say, from the schemas of the contracts."""

import base64
from functools import cache
from typing import Any

import hypothesis.strategies as st
from tests.contracts.test_agreement import documents

from covenue.bridge.messages import Message
from covenue.registry.validation import contract_validator
from covenue_contracts import catalogue
from covenue_contracts.canonical import ProfileBroken, check_profile
from covenue_contracts.contract import SAFE_INTEGER
from covenue_contracts.examples import ALICE, BOB, PLAN

ENTRIES = tuple(kind for kind in catalogue.kinds() if not kind.startswith(("entry/", "plugin/")))
PLAIN = ("dual-variables/v1", "plan.delta/v1", "privacy-budget/v1", "join/v1", "upload/v1")
TICK = st.sampled_from(["0.01", "0.5", "1", "25", "0.000000000000000001"])
LOT = st.sampled_from(["0.00001", "0.10", "1", "3"])


def is_message(kind: str, document: Any) -> bool:
    try:
        check_profile(document)
    except ProfileBroken:
        return False
    return contract_validator(kind).is_valid(document)


@cache
def contract(kind: str) -> st.SearchStrategy[Any]:
    """Valid documents of a contract."""
    schema = catalogue.schema(kind)
    return (
        documents(schema, schema)
        .filter(lambda document: is_message(kind, document))
        .map(whole_words)
    )


def whole_words(document: Any) -> Any:
    """Words as whole int64s, where a document has any: other bytes are no words."""
    if isinstance(document, dict) and isinstance(document.get("words"), str):
        data = base64.b64decode(document["words"])
        document["words"] = base64.b64encode(data.ljust(-len(data) % 8 + len(data))).decode()
    return document


@st.composite
def entries(draw: st.DrawFn) -> Message:
    kind = draw(st.sampled_from(ENTRIES))
    header = draw(contract("entry/v1"))
    body = draw(contract(kind))
    return Message("canonical", "entry/v1", {}, {**header, "kind": kind[:-3], "body": body})


@st.composite
def problems(draw: st.DrawFn, domain: str = "routing", state: str = "order-book/v1") -> Message:
    """A local problem that every dialect can say, where it is a routing problem on a book."""
    data = draw(contract(state))
    if state == "order-book/v1":
        data["instrument"]["tick"] = draw(TICK)
        data["instrument"]["step"] = draw(TICK)
    body = {
        "domain": domain,
        "state": state,
        "digest": "ab" * 32,
        "config": draw(
            st.sampled_from([{}, {"fee_bps": "1.50"}, {"fee_bps": 1, "basis_bps": "0"}])
        ),
        "goal": {**draw(contract("goal/v1")), "domain": domain, "terms": draw(terms())},
        "data": data,
    }
    return Message("canonical", "local-problem/v1", {}, body)


def terms() -> st.SearchStrategy[dict[str, Any]]:
    """Terms of a routing goal, with and without what may be left out."""
    count = st.integers(0, 10**12).map(str)
    optional = {
        "instrument": st.none() | st.just("btc"),
        "minimum_lots": st.none() | count,
        "pace_lots": st.none() | count,
        "quantity_lots": count,
        "whole_steps": st.booleans(),
    }
    prices = {"price_scale": st.sampled_from([1, 100, 10_000]), "limit_price": st.none() | count}
    return st.fixed_dictionaries(
        {"side": st.sampled_from(["buy", "sell"]), "lot": LOT, **prices}, optional=optional
    )


def metadata(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any part of an envelope of a message of that kind."""
    known = {
        "sender": st.sampled_from([ALICE, BOB]),
        "plan": st.just(PLAN),
        "round": st.integers(0, 9),
        "phase": st.sampled_from(["upload", "join"]),
        "sequence": st.integers(0, SAFE_INTEGER),
        "sent": st.integers(0, 10**20 - 1).map(str),
        "contract": st.just(catalogue.schema_digest(kind)),
        "signature": st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode()),
    }
    return st.fixed_dictionaries({}, optional=known)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Messages that every dialect can say, with part of an envelope."""
    plain = st.sampled_from([*PLAIN, "signals.total/v1"]).flatmap(
        lambda kind: contract(kind).map(lambda body: Message("canonical", kind, {}, body))
    )
    found = draw(plain | entries() | problems())
    known = draw(metadata(found.type))
    return Message(found.dialect, found.type, known, found.body)
