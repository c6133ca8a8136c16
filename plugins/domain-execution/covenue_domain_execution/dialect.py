"""ExProve's own vocabulary, laid against the contracts: kebab case, milliseconds, decimal prices.

It speaks of books alone: a task that holds pools has no form here and is refused. A signed
statement stays as it is in bytes, as its signature is over them.
"""

from fractions import Fraction

from covenue.hooks.dialects import (
    RHO,
    Binary,
    Cases,
    Dialect,
    Field,
    Int64s,
    Listed,
    Maybe,
    Measured,
    MessageType,
    Named,
    Record,
    Scaled,
    Value,
    any_entry_body,
    attendance,
    respelled,
)

MILLISECONDS = Scaled(Fraction(1, 10**6))


def kebab(name: str) -> str:
    """`valid_until` as `valid-until`."""
    return name.replace("_", "-")


METADATA = Record(
    (
        Field("sender", "agent", optional=True),
        Field("plan", "schedule-id", optional=True),
        Field("round", "round", optional=True),
        Field("phase", "phase", optional=True),
        Field("sequence", "sequence", optional=True),
        Field("sent", "sent-ms", MILLISECONDS, optional=True),
        Field("contract", "schema-digest", optional=True),
        Field("signature", "signature", optional=True),
    )
)

STAMP = Record(
    (
        Field("venue_time", "venue-ms", Maybe(MILLISECONDS)),
        Field("local_time", "received-ms", MILLISECONDS),
        Field("clock", "clock"),
        Field("offset", "clock-offset-ms", MILLISECONDS),
        Field("half_width", "clock-error-ms", MILLISECONDS),
    )
)

INSTRUMENT = Record(
    (
        Field("venue", "venue"),
        Field("symbol", "venue-symbol"),
        Field("canonical", "instrument"),
        Field("base", "base"),
        Field("quote", "quote"),
        Field("tick", "tick"),
        Field("step", "step"),
        Field("minimum", "minimum"),
        Field("multiplier", "contract-size"),
        Field("payoff", "payoff"),
        Field("hours", "hours"),
        Field("zone", "zone"),
    )
)

LEVELS = Listed(
    Record(
        (
            Field("price_ticks", "price", Measured("instrument/tick")),
            Field("quantity_steps", "quantity", Measured("instrument/step")),
        )
    )
)

BOOK = Record(
    (
        Field("instrument", "instrument", INSTRUMENT),
        Field("form", "form"),
        Field("bids", "bids", LEVELS),
        Field("asks", "offers", LEVELS),
        Field("first", "updates/first"),
        Field("last", "updates/last"),
        Field("previous", "updates/previous"),
        Field("stamp", "seen", STAMP),
    )
)

GOAL = Record(
    (
        Field("domain", "domain"),
        Field("aim", "aim", Named({"fill": "complete", "allow": "permit"})),
        Field("remaining", "lots-by-slice"),
        Field("terms", "parent-order"),
    )
)

LOCAL_EXECUTION_TASK = Record(
    (
        Field("domain", "domain"),
        Field("state", "market-kind", Named({"order-book/v1": "book"})),
        Field("digest", "market-digest"),
        Field("data", "market", Cases("state", {"order-book/v1": BOOK})),
        Field("config", "forecast"),
        Field("goal", "task", GOAL),
    )
)

SHARED_MARKET_CONTEXT = Record(
    (
        Field("plan", "schedule-id"),
        Field("round", "round"),
        Field("query", "question-id"),
        Field("words", "words", Maybe(Int64s())),
        Field("digest", "words-digest"),
        Field("cohort", "agents"),
        Field("exact", "exact"),
    )
)

DUAL_VARIABLES = Record(
    (
        Field("scale_bits", "grid-bits"),
        Field("values", "marginal-prices", Listed(Binary("scale_bits"))),
    )
)

PLAN_DELTA = Record(
    (
        Field("plan", "schedule-id"),
        Field("parent", "parent-schedule-id"),
        Field("after", "question-id"),
        Field("status", "status"),
        Field("multipliers", "prices", Maybe(DUAL_VARIABLES)),
        Field("solution", "lots/now"),
        Field("change", "lots/change"),
        Field("value", "shortfall-certificate/value"),
        Field("bound", "shortfall-certificate/bound"),
        Field("gap", "shortfall-certificate/gap"),
        Field("shortfall", "unplaced"),
        Field("rounds", "rounds"),
        Field("transcript", "transcript-digest"),
        Field("cohort", "agents"),
    )
)

PRIVACY_BUDGET = Record(
    (
        Field("signal", "signal"),
        Field("rho_max", "rho-limit", RHO),
        Field("exact_max", "exact-limit"),
        Field("delta_exponent", "delta-exponent"),
        Field("adjacency", "adjacency"),
    )
)

ATTESTATION = Record(
    (
        Field("payload_type", "statement-type"),
        Field("payload", "statement"),
        Field(
            "signatures",
            "signed-by",
            Listed(Record((Field("keyid", "key"), Field("sig", "signature")))),
        ),
    )
)

CLOCK = Record(
    (
        Field("wall", "wall-ms", MILLISECONDS),
        Field("monotonic", "monotonic-ms", MILLISECONDS),
        Field("boot", "boot"),
        Field("source", "clock"),
        Field("divergence", "clock-error-ms", MILLISECONDS),
    )
)

OWN: dict[str, Value] = {"budget": PRIVACY_BUDGET, "multipliers": Maybe(DUAL_VARIABLES)}
"""Values that an entry's body writes in ExProve's units, by the contract's name."""

UNTIL: dict[str, Value] = {"valid_until": MILLISECONDS}

BODIES = {
    "action": respelled("action/v1", kebab, UNTIL),
    "plan.delta": PLAN_DELTA,
    "plan.go": respelled("plan.go/v1", kebab, UNTIL),
    "signals.total": SHARED_MARKET_CONTEXT,
}

AUDIT_LOG = Record(
    (
        Field("v", "version"),
        Field("kind", "kind"),
        Field("author", "author"),
        Field("nonce", "nonce"),
        Field("clock", "clock", CLOCK),
        Field("refs", "blobs"),
        Field("body", "body", any_entry_body(kebab, OWN, BODIES)),
    )
)

EXPROVE = Dialect(
    name="exprove",
    summary="ExProve: schedules over slices and books, kebab case, milliseconds, decimal prices",
    metadata=METADATA,
    types=(
        MessageType("LocalExecutionTask", "local-problem/v1", LOCAL_EXECUTION_TASK),
        MessageType("SharedMarketContext", "signals.total/v1", SHARED_MARKET_CONTEXT),
        MessageType("DualVariables", "dual-variables/v1", DUAL_VARIABLES),
        MessageType("PlanDelta", "plan.delta/v1", PLAN_DELTA),
        MessageType("PrivacyBudget", "privacy-budget/v1", PRIVACY_BUDGET),
        MessageType("Attestation", "attestation/v1", ATTESTATION),
        MessageType("AuditLog", "entry/v1", AUDIT_LOG),
        *attendance(kebab),
    ),
)
