"""ArbSphere's own vocabulary, laid against the contracts: snake case, hex, seconds.

It speaks of pools and of books. Multipliers stay integers on their grid; reserves stay in native
units, as their assets are named beside them; fees are fractions, budgets are in units of rho.
"""

from fractions import Fraction

from covenue.hooks.dialects import (
    RHO,
    Cases,
    Dialect,
    Field,
    Hex,
    Listed,
    Maybe,
    MessageType,
    Named,
    Record,
    Scaled,
    Value,
    any_entry_body,
    attendance,
    respelled,
)

SECONDS = Scaled(Fraction(1, 10**9))
MICROSECONDS = Scaled(Fraction(1, 10**3))


def as_in_contract(name: str) -> str:
    """The contract's own name, where ArbSphere has no other."""
    return name


METADATA = Record(
    (
        Field("sender", "sender_id", optional=True),
        Field("plan", "plan_hash", optional=True),
        Field("round", "round_number", optional=True),
        Field("phase", "stage", optional=True),
        Field("sequence", "message_number", optional=True),
        Field("sent", "sent_at_s", SECONDS, optional=True),
        Field("contract", "contract_sha256", optional=True),
        Field("signature", "signature_hex", Hex(), optional=True),
    )
)

STAMP = Record(
    (
        Field("venue_time", "exchange_time_s", Maybe(SECONDS)),
        Field("local_time", "local_time_s", SECONDS),
        Field("clock", "clock_id"),
        Field("offset", "clock_offset_us", MICROSECONDS),
        Field("half_width", "clock_error_us", MICROSECONDS),
    )
)

POOL = Record(
    (
        Field("venue", "exchange"),
        Field("pool", "pool_id"),
        Field(
            "invariant", "curve", Named({"constant-product": "xyk", "bounded-product": "xyk-range"})
        ),
        Field("assets", "assets"),
        Field("reserves", "reserves"),
        Field("available", "payable"),
        Field("fee_ppm", "fee", Scaled(Fraction(1, 10**6), is_text=False)),
        Field("block", "block_number"),
        Field("log_index", "log_index"),
    )
)

POOLS = Record(
    (
        Field("venue", "exchange"),
        Field(
            "assets", "assets", Listed(Record((Field("name", "asset"), Field("decimals", "exp"))))
        ),
        Field("pools", "pools", Listed(POOL)),
        Field("stamp", "observed", STAMP),
    )
)

INSTRUMENT = Record(
    (
        Field("venue", "exchange"),
        Field("symbol", "exchange_symbol"),
        Field("canonical", "pair"),
        Field("base", "base_asset"),
        Field("quote", "quote_asset"),
        Field("tick", "tick_size"),
        Field("step", "step_size"),
        Field("minimum", "min_size"),
        Field("multiplier", "contract_size"),
        Field("payoff", "payoff"),
        Field("hours", "hours"),
        Field("zone", "zone"),
    )
)

LEVELS = Listed(Record((Field("price_ticks", "ticks"), Field("quantity_steps", "steps"))))

BOOK = Record(
    (
        Field("instrument", "pair", INSTRUMENT),
        Field("form", "form"),
        Field("bids", "bids", LEVELS),
        Field("asks", "asks", LEVELS),
        Field("first", "sequence/first"),
        Field("last", "sequence/last"),
        Field("previous", "sequence/previous"),
        Field("stamp", "observed", STAMP),
    )
)

GOAL = Record(
    (
        Field("domain", "domain"),
        Field("aim", "aim"),
        Field("remaining", "remaining_units"),
        Field("terms", "terms"),
    )
)

LOCAL_ARB_PROBLEM = Record(
    (
        Field("domain", "domain"),
        Field("state", "market_kind", Named({"pool-set/v1": "pools", "order-book/v1": "book"})),
        Field("digest", "market_sha256"),
        Field("data", "market", Cases("state", {"pool-set/v1": POOLS, "order-book/v1": BOOK})),
        Field("config", "private_terms"),
        Field("goal", "objective", GOAL),
    )
)

SHARED_SIGNALS = Record(
    (
        Field("plan", "plan_hash"),
        Field("round", "round_number"),
        Field("query", "query_hash"),
        Field("words", "words_hex", Maybe(Hex())),
        Field("digest", "words_hash"),
        Field("cohort", "cohort"),
        Field("exact", "is_exact"),
    )
)

DUAL_VARIABLES = Record((Field("scale_bits", "price_bits"), Field("values", "asset_prices")))

PLAN_DELTA = Record(
    (
        Field("plan", "plan_hash"),
        Field("parent", "parent_hash"),
        Field("after", "query_hash"),
        Field("status", "status"),
        Field("multipliers", "prices", Maybe(DUAL_VARIABLES)),
        Field("solution", "positions/now"),
        Field("change", "positions/change"),
        Field("value", "edge/value"),
        Field("bound", "edge/bound"),
        Field("gap", "edge/gap"),
        Field("shortfall", "shortfall"),
        Field("rounds", "round_count"),
        Field("transcript", "transcript_sha256"),
        Field("cohort", "cohort"),
    )
)

PRIVACY_BUDGET = Record(
    (
        Field("signal", "signal_name"),
        Field("rho_max", "rho_limit", RHO),
        Field("exact_max", "exact_limit"),
        Field("delta_exponent", "delta_exponent"),
        Field("adjacency", "neighbours"),
    )
)

CLOCK = Record(
    (
        Field("wall", "wall_s", SECONDS),
        Field("monotonic", "monotonic_s", SECONDS),
        Field("boot", "boot_id"),
        Field("source", "clock_id"),
        Field("divergence", "clock_error_us", MICROSECONDS),
    )
)

OWN: dict[str, Value] = {"budget": PRIVACY_BUDGET, "multipliers": Maybe(DUAL_VARIABLES)}
"""Values that an entry's body writes in ArbSphere's units, by the contract's name."""

UNTIL: dict[str, Value] = {"valid_until": SECONDS}

BODIES = {
    "action": respelled("action/v1", as_in_contract, UNTIL),
    "plan.delta": PLAN_DELTA,
    "plan.go": respelled("plan.go/v1", as_in_contract, UNTIL),
    "signals.total": SHARED_SIGNALS,
}

AUDIT_LOG = Record(
    (
        Field("v", "version"),
        Field("kind", "entry_kind"),
        Field("author", "author_id"),
        Field("nonce", "nonce_hex"),
        Field("clock", "clock", CLOCK),
        Field("refs", "blob_hashes"),
        Field("body", "payload", any_entry_body(as_in_contract, OWN, BODIES)),
    )
)

ARBSPHERE = Dialect(
    name="arbsphere",
    summary="ArbSphere: pools and books, snake case, hex bytes, seconds, integer prices on a grid",
    metadata=METADATA,
    types=(
        MessageType("LocalArbProblem", "local-problem/v1", LOCAL_ARB_PROBLEM),
        MessageType("SharedSignals", "signals.total/v1", SHARED_SIGNALS),
        MessageType("DualVariables", "dual-variables/v1", DUAL_VARIABLES),
        MessageType("PlanDelta", "plan.delta/v1", PLAN_DELTA),
        MessageType("PrivacyBudget", "privacy-budget/v1", PRIVACY_BUDGET),
        MessageType("AuditLog", "entry/v1", AUDIT_LOG),
        *attendance(as_in_contract),
    ),
)
