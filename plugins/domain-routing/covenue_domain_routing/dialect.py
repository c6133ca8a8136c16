"""ExoRoute's own vocabulary, laid against the contracts: camel case, decimals, UTC times.

Amounts are in the base currency and prices in the quote currency wherever the message itself tells
tick, step, lot or price scale; what would not be exact is refused, never rounded.
"""

from fractions import Fraction

from covenue.hooks.dialects import (
    RHO,
    Binary,
    Cases,
    Dialect,
    Field,
    Instant,
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


def camel(name: str) -> str:
    """`valid_until` as `validUntil`."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


METADATA = Record(
    (
        Field("sender", "from", optional=True),
        Field("plan", "planId", optional=True),
        Field("round", "round", optional=True),
        Field("phase", "phase", optional=True),
        Field("sequence", "sequenceNumber", optional=True),
        Field("sent", "sentAt", Instant(), optional=True),
        Field("contract", "schemaDigest", optional=True),
        Field("signature", "signature", optional=True),
    )
)

STAMP = Record(
    (
        Field("venue_time", "venueTime", Maybe(Instant())),
        Field("local_time", "receivedAt", Instant()),
        Field("clock", "clockId"),
        Field("offset", "clockOffsetMs", MILLISECONDS),
        Field("half_width", "clockErrorMs", MILLISECONDS),
    )
)

INSTRUMENT = Record(
    (
        Field("venue", "venueId"),
        Field("symbol", "symbol"),
        Field("canonical", "instrumentId"),
        Field("base", "baseCurrency"),
        Field("quote", "quoteCurrency"),
        Field("tick", "tickSize"),
        Field("step", "stepSize"),
        Field("minimum", "minQuantity"),
        Field("multiplier", "contractMultiplier"),
        Field("payoff", "payoff", Named({"linear": "LINEAR", "inverse": "INVERSE"})),
        Field("hours", "tradingHours"),
        Field("zone", "timeZone"),
    )
)

LEVELS = Listed(
    Record(
        (
            Field("price_ticks", "price", Measured("instrument/tick")),
            Field("quantity_steps", "size", Measured("instrument/step")),
        )
    )
)

ORDER_BOOK = Record(
    (
        Field("instrument", "instrument", INSTRUMENT),
        Field("form", "updateType", Named({"snapshot": "SNAPSHOT", "delta": "DELTA"})),
        Field("bids", "bids", LEVELS),
        Field("asks", "asks", LEVELS),
        Field("first", "firstUpdateId"),
        Field("last", "lastUpdateId"),
        Field("previous", "previousUpdateId"),
        Field("stamp", "timestamps", STAMP),
    )
)

LOTS = Measured("lot")
PRICE = Measured("price_scale", per_unit=True)
"""A budget counts lots at one price unit: as LOTS it is written in price units of the quote."""

TERMS = Record(
    (
        Field("side", "side", Named({"buy": "BUY", "sell": "SELL"}), optional=True),
        Field("instrument", "instrumentId", optional=True),
        Field("lot", "lotSize", optional=True),
        Field("price_scale", "priceScale", optional=True),
        Field(
            "limit_price",
            "limitPrice",
            Maybe(PRICE),
            optional=True,
        ),
        Field("minimum_lots", "minQuantity", Maybe(LOTS), optional=True),
        Field("quantity_lots", "quantity", Maybe(LOTS), optional=True),
        Field("pace_lots", "maxPerPlan", Maybe(LOTS), optional=True),
        Field("whole_steps", "wholeSteps", optional=True),
        Field("instruments", "instrumentIds", optional=True),
        Field("quantities_lots", "quantities", Listed(LOTS), optional=True),
        Field("values", "values", Listed(PRICE), optional=True),
        Field("budget", "budget", LOTS, optional=True),
    )
)

GOAL = Record(
    (
        Field("domain", "domain", Named({"routing": "EXOROUTE"})),
        Field("aim", "aim", Named({"fill": "FILL", "allow": "ALLOW"})),
        Field("remaining", "remaining", Listed(Measured("terms/lot"))),
        Field("terms", "terms", TERMS),
    )
)

CONFIG = Record(
    (
        Field("fee_bps", "feeBps", optional=True),
        Field("basis_bps", "basisBps", optional=True),
    )
)

LOCAL_PROBLEM = Record(
    (
        Field("state", "venueState/kind", Named({"order-book/v1": "ORDER_BOOK"})),
        Field("domain", "domain", Named({"routing": "EXOROUTE"})),
        Field("digest", "venueState/digest"),
        Field("data", "venueState/orderBook", Cases("state", {"order-book/v1": ORDER_BOOK})),
        Field("config", "privateConfig", CONFIG),
        Field("goal", "parentOrder", GOAL),
    )
)

SHARED_VARIABLES = Record(
    (
        Field("plan", "planId"),
        Field("round", "round"),
        Field("query", "queryId"),
        Field("words", "values", Maybe(Int64s())),
        Field("digest", "valuesHash"),
        Field("cohort", "participants"),
        Field("exact", "noiseless"),
    )
)

DUAL_VARIABLES = Record(
    (
        Field("scale_bits", "gridBits"),
        Field("values", "prices", Listed(Binary("scale_bits"))),
    )
)

PLAN_DELTA = Record(
    (
        Field("plan", "planId"),
        Field("parent", "parentPlanId"),
        Field("after", "lastQueryId"),
        Field(
            "status",
            "status",
            Named(
                {
                    "certified": "CERTIFIED",
                    "estimated": "ESTIMATED",
                    "stalled": "STALLED",
                    "max_rounds": "ROUND_LIMIT",
                    "infeasible": "INFEASIBLE",
                }
            ),
        ),
        Field("multipliers", "dualVariables", Maybe(DUAL_VARIABLES)),
        Field("solution", "solution"),
        Field("change", "change"),
        Field("value", "certificate/value"),
        Field("bound", "certificate/bound"),
        Field("gap", "certificate/gap"),
        Field("shortfall", "shortfall"),
        Field("rounds", "provenance/rounds"),
        Field("transcript", "provenance/transcriptDigest"),
        Field("cohort", "provenance/participants"),
    )
)

PRIVACY_BUDGET = Record(
    (
        Field("signal", "signal"),
        Field("rho_max", "maxRho", RHO),
        Field("exact_max", "maxNoiselessSums"),
        Field("delta_exponent", "deltaExponent"),
        Field(
            "adjacency",
            "adjacency",
            Named({"replace-one-venue": "VENUE", "replace-one-program": "PROGRAM"}),
        ),
    )
)

CLOCK = Record(
    (
        Field("wall", "recordedAt", Instant()),
        Field("monotonic", "monotonicNs"),
        Field("boot", "bootId"),
        Field("source", "clockId"),
        Field("divergence", "clockErrorMs", MILLISECONDS),
    )
)

OWN: dict[str, Value] = {
    "as_of": Instant(),
    "budget": PRIVACY_BUDGET,
    "due": Instant(),
    "multipliers": Maybe(DUAL_VARIABLES),
    "sent": Instant(),
}
"""Values that an entry's body writes in ExoRoute's units, by the contract's name."""

UNTIL: dict[str, Value] = {"valid_until": Instant()}

BODIES = {
    "action": respelled("action/v1", camel, UNTIL),
    "plan.delta": PLAN_DELTA,
    "plan.go": respelled("plan.go/v1", camel, UNTIL),
    "signals.total": SHARED_VARIABLES,
}

AUDIT_LOG = Record(
    (
        Field("v", "version"),
        Field("kind", "event"),
        Field("author", "author"),
        Field("nonce", "nonce"),
        Field("clock", "clock", CLOCK),
        Field("refs", "blobs"),
        Field("body", "details", any_entry_body(camel, OWN, BODIES)),
    )
)

EXOROUTE = Dialect(
    name="exoroute",
    summary="ExoRoute: orders across books, camel case, human decimals, RFC 3339 times",
    metadata=METADATA,
    types=(
        MessageType("LocalProblem", "local-problem/v1", LOCAL_PROBLEM),
        MessageType("SharedVariables", "signals.total/v1", SHARED_VARIABLES),
        MessageType("DualVariables", "dual-variables/v1", DUAL_VARIABLES),
        MessageType("PlanDelta", "plan.delta/v1", PLAN_DELTA),
        MessageType("PrivacyBudget", "privacy-budget/v1", PRIVACY_BUDGET),
        MessageType("AuditLog", "entry/v1", AUDIT_LOG),
        *attendance(camel),
    ),
)
