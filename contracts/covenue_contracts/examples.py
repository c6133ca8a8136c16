"""Documents thought out by hand: one or more valid ones of the contracts that matter most.

They are the truth behind `vectors`; every other contract's vectors come from its schema.
"""

from typing import Any

from covenue_contracts.edits import merged

ALICE = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
BOB = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
CAROL = "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG"
PLAN = "11" * 32
PARENT = "22" * 32
QUERY = "33" * 32
ORDER = "44" * 32
COMMITMENT = "55" * 32
NOW = "1723161260000000000"
SIGNATURE = "A" * 86 + "=="

CLOCK: dict[str, Any] = {
    "wall": NOW,
    "monotonic": "5000000000",
    "boot": "boot-1",
    "source": "recorded",
    "divergence": "1000000",
}
GOAL: dict[str, Any] = {
    "domain": "routing",
    "aim": "fill",
    "remaining": ["10000000"],
    "terms": {"side": "buy", "limit": None, "lot_exponent": -5, "partial": True, "legs": [1, 2]},
}
MULTIPLIERS: dict[str, Any] = {"scale_bits": 30, "values": ["1073741824", "-536870912", "0"]}
KEY_QUESTION: dict[str, Any] = {
    "kind": "depth",
    "after": None,
    "multipliers": None,
    "points": ["2403816000", "2403816004"],
}
PRICE_QUESTION = merged(
    KEY_QUESTION, kind="curvature", after=QUERY, multipliers=MULTIPLIERS, points=[]
)
ASKED: dict[str, Any] = {
    "plan": PLAN,
    "round": 0,
    "digest": QUERY,
    "query": KEY_QUESTION,
    "width": 2,
    "expected": [ALICE, BOB],
    "cohort_fixed": False,
    "retry_of": None,
}
ENVELOPE: dict[str, Any] = {
    "sender": ALICE,
    "plan": PLAN,
    "round": 3,
    "phase": "upload",
    "sequence": 17,
    "sent": NOW,
    "contract": "ab" * 32,
    "payload": "AAECAw==",
    "signature": SIGNATURE,
}
PLAN_OPEN: dict[str, Any] = {
    "plan": PLAN,
    "number": 1,
    "order": ORDER,
    "parent": PARENT,
    "goal": GOAL,
    "mode": "executed",
    "as_of": NOW,
    "roster": "66" * 32,
    "seed": "77" * 32,
}
PLAN_DELTA: dict[str, Any] = {
    "plan": PLAN,
    "parent": PARENT,
    "after": QUERY,
    "status": "certified",
    "multipliers": None,
    "solution": ["2403816004", "125"],
    "change": ["-12", "125"],
    "value": "6009540010000",
    "bound": "6009540010000",
    "gap": "0",
    "shortfall": "0",
    "rounds": 7,
    "transcript": "88" * 32,
    "cohort": [ALICE, BOB, CAROL],
}
PLAN_GO: dict[str, Any] = {
    "plan": PLAN,
    "total": ["10000000"],
    "commitments": [
        {"did": ALICE, "commitment": COMMITMENT},
        {"did": BOB, "commitment": "99" * 32},
    ],
    "valid_until": "1723161261000000000",
}
BUDGET: dict[str, Any] = {
    "signal": "depth",
    "rho_max": "1099511627776",
    "exact_max": "4096",
    "delta_exponent": 9,
    "adjacency": "replace-one-venue",
}
ENTRY: dict[str, Any] = {
    "v": 1,
    "kind": "plan.open",
    "author": ALICE,
    "nonce": "0123456789abcdef" * 2,
    "clock": CLOCK,
    "refs": [PARENT],
}
GENESIS: dict[str, Any] = {
    "origin": "covenue.example/coordinator",
    "author": ALICE,
    "log_key": BOB,
    "durability": "full",
    "clock_source": "recorded",
    "demo": True,
    "config": {"seed": "demo", "entries_max": 9007199254740991},
}
MANIFEST: dict[str, Any] = {
    "id": "covenue-solver-search",
    "family": "solvers",
    "summary": "Exact key search on integer books",
    "licence": "Apache-2.0",
    "provides": [
        {
            "name": "search",
            "object": "covenue_solver_search.search:SearchSolver.from_options",
            "config": {"branching": 64, "modes": ["exact", "coarse"]},
        }
    ],
    "produces": [{"kind": "query/v1", "digest": "0" * 64}],
    "consumes": [{"kind": "shared-signals/v1", "digest": "0" * 64}],
    "requires": [],
    "conflicts": [],
    "capabilities": [
        {"name": "DEPTH", "level": "FULL", "limits": None},
        {"name": "CURVATURE", "level": "PARTIAL", "limits": "books of one instrument"},
    ],
    "privacy": None,
    "determinism": "identical",
    "profile": "core",
}
PRIVACY_MANIFEST = merged(
    MANIFEST,
    id="covenue-privacy-open",
    family="privacy",
    capabilities=[],
    privacy={"coordinator_sees": "everything", "least_cohort": 1, "replay": "identical"},
)
SPOT: dict[str, Any] = {
    "venue": "binance-spot",
    "symbol": "BTCUSDT",
    "canonical": "btc-usdt",
    "base": "BTC",
    "quote": "USDT",
    "tick": "0.01",
    "step": "0.00001",
    "minimum": "0",
    "multiplier": "1",
    "payoff": "linear",
    "hours": "24/7",
    "zone": "UTC",
}
COIN_MARGINED = merged(
    SPOT,
    venue="binance-coinm",
    symbol="BTCUSD_PERP",
    canonical="btc-usd-perp",
    quote="USD",
    tick="0.1",
    step="1",
    multiplier="100",
    payoff="inverse",
)
STAMP: dict[str, Any] = {
    "venue_time": None,
    "local_time": NOW,
    "clock": "capture",
    "offset": "-1270000000",
    "half_width": "50000000",
}
BOOK: dict[str, Any] = {
    "instrument": SPOT,
    "form": "snapshot",
    "bids": [
        {"price_ticks": "6009540", "quantity_steps": "150000"},
        {"price_ticks": "6009539", "quantity_steps": "2"},
    ],
    "asks": [{"price_ticks": "6009541", "quantity_steps": "98700"}],
    "first": "50000000001",
    "last": "50000000001",
    "previous": None,
    "stamp": STAMP,
}
BOOK_DELTA = merged(
    BOOK,
    instrument=COIN_MARGINED,
    form="delta",
    bids=[{"price_ticks": "600954", "quantity_steps": "0"}],
    asks=[],
    last="50000000007",
    previous="49999999998",
)

EXAMPLES: dict[str, dict[str, Any]] = {
    "entry/v1": {
        "an-entry-header-that-refers-to-its-parent": ENTRY,
        "an-entry-header-of-a-kind-without-a-dot": merged(ENTRY, kind="deadline", refs=[]),
    },
    "envelope/v1": {
        "an-envelope-of-an-upload": ENVELOPE,
        "an-envelope-without-payload-bytes": merged(ENVELOPE, payload="", round=0, sequence=0),
    },
    "genesis/v1": {
        "a-genesis-of-a-demo": GENESIS,
        "a-genesis-without-configuration": merged(GENESIS, demo=False, config={}),
    },
    "goal/v1": {"a-goal-with-terms-of-every-scalar-type": GOAL},
    "instrument/v1": {
        "a-linear-instrument": SPOT,
        "an-inverse-instrument-of-100-dollars-a-contract": COIN_MARGINED,
    },
    "order-book/v1": {
        "a-snapshot-without-a-venue-time": BOOK,
        "a-delta-that-deletes-a-level": BOOK_DELTA,
        "a-delta-of-an-empty-book": merged(BOOK_DELTA, bids=[]),
    },
    "plan.delta/v1": {
        "a-certified-delta-of-a-key-search": PLAN_DELTA,
        "a-first-delta-with-multipliers": merged(
            PLAN_DELTA, parent=None, status="estimated", multipliers=MULTIPLIERS, gap="15"
        ),
    },
    "plan.go/v1": {"a-go-that-lists-every-commitment": PLAN_GO},
    "plan.open/v1": {
        "a-plan-that-follows-another": PLAN_OPEN,
        "a-first-plan-without-a-parent": merged(PLAN_OPEN, number=0, parent=None),
    },
    "plugin/v1": {
        "a-manifest-of-a-solver": MANIFEST,
        "a-manifest-of-a-privacy-mechanism": PRIVACY_MANIFEST,
    },
    "privacy-budget/v1": {
        "a-budget-of-one-unit-of-rho": BUDGET,
        "a-budget-that-allows-nothing": merged(BUDGET, rho_max="0", exact_max="0"),
    },
    "query/v1": {
        "a-first-round-of-two-members": ASKED,
        "a-retry-of-the-round-before": merged(ASKED, round=1, retry_of=0, cohort_fixed=True),
    },
    "question/v1": {
        "a-question-of-a-key-search": KEY_QUESTION,
        "a-question-at-prices-that-continues-from-another": PRICE_QUESTION,
    },
}
"""Valid documents by kind, each under the sentence that names it."""
