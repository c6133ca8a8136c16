"""Report sections: the standing plan over time, and the order that was executed."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from covenue.hooks.domains import OpenedPlan, Plot, Section
from covenue_domain_routing.goals import Terms, read_terms
from covenue_domain_routing.opened import Orders, orders_of

OPENED = (
    "Computed with all books opened, outside the cohort: no party and not the coordinator saw this "
    "while planning."
)
LEARNED = (
    "Every party learns the marginal level: its all-in price, the venue that it lies on and the "
    "quantity taken from it. Of the other levels only sums left a party."
)
STANDING = (
    "A standing plan ends at its proposal: nothing is executed, and the recorded books are not "
    "consumed. Each plan is what the cohort would do at that instant."
)
EXECUTED = (
    "Paper execution on the recorded books: what an order took stays taken until the venue "
    "refreshes that level. Real books would react to the order; these cannot."
)


def sections(figures: Mapping[str, Any], plans: Sequence[OpenedPlan]) -> Sequence[Section]:
    """One act for each order that had plans; several orders of a mode are told apart by number."""
    standing, executed = orders_of(plans)
    made: list[Section] = []
    for suffix, held, order in _by_order(figures["standing"], standing):
        if held["plans"]:
            made += _standing(held, read_terms(order[0].goal), suffix)
    for suffix, held, order in _by_order(figures["executed"], executed):
        made.append(_executed(held, read_terms(order[0].goal), suffix))
    return tuple(made)


def _by_order(
    figures: Mapping[str, Any], orders: Orders
) -> Iterator[tuple[str, Mapping[str, Any], Sequence[OpenedPlan]]]:
    """(suffix of titles, figures, plans) of each order, in the order's own units."""
    each = figures.get("orders", [figures])
    for number, (held, order) in enumerate(zip(each, orders, strict=False)):
        yield (f", order {number}" if len(orders) > 1 else ""), held, order


def _standing(figures: Mapping[str, Any], terms: Terms, suffix: str) -> list[Section]:
    rows = figures["plans"]
    numbers = tuple(float(row["k"]) for row in rows)
    venues = figures["venues"]
    return [
        Section(
            title=f"A standing plan: cost{suffix}",
            text=f"{STANDING} {LEARNED} {OPENED}",
            figures=_standing_headline(figures, terms),
            columns=_columns(venues),
            rows=tuple(_standing_row(row, terms) for row in rows),
            plots=(_saving(rows), _cost(rows, terms)),
        ),
        Section(
            title=f"A standing plan: split{suffix}",
            text=(
                "How the plan splits the order between venues, and what is lost to native steps: "
                "a venue that trades in coarse steps gets its share rounded down. " + OPENED
            ),
            figures=_split_headline(figures, terms),
            plots=(
                Plot(
                    title="Split over time",
                    kind="area",
                    x_label="plan",
                    y_label="base currency",
                    x=numbers,
                    series={
                        venue: tuple(_base(row["lots"][i], terms) for row in rows)
                        for i, venue in enumerate(venues)
                    },
                ),
            ),
        ),
        _why(rows[-1], venues, terms, suffix),
    ]


def _why(row: Mapping[str, Any], venues: Sequence[str], terms: Terms, suffix: str) -> Section:
    """The last plan, venue by venue."""
    scale = terms.price_scale

    def price(value: int | None) -> str:
        return _text(None if value is None else Fraction(value, scale), 4)

    return Section(
        title=f"Why each venue got its share{suffix}",
        text=(
            f"Plan {row['k']}: every offer with an all-in price better than the marginal level is "
            "taken whole, and nothing beyond it; fees and basis are in the price. " + OPENED
        ),
        figures={"marginal all-in price": price(row["price"])},
        columns=("venue", "best all-in price", "offered within the margin", "share", "because"),
        rows=tuple(
            (
                venue,
                price(why["best"]),
                _text(why["offered"] * terms.lot, 5),
                _text(lots * terms.lot, 5),
                why["because"],
            )
            for venue, why, lots in zip(venues, row["why"], row["lots"], strict=True)
        ),
    )


def _columns(venues: Sequence[str]) -> tuple[str, ...]:
    plan = ("plan", "status", "rounds", "marginal price", "all-in cost")
    sent = tuple(f"bytes from {venue}" for venue in venues)
    checks = ("best single venue", "saving, bps", "lots off the central optimum")
    return (*plan, *venues, *sent, *checks)


def _standing_row(row: Mapping[str, Any], terms: Terms) -> tuple[str, ...]:
    return (
        str(row["k"]),
        f"{row['status']}, stands" if row["stands"] else str(row["status"]),
        str(row["rounds"]),
        _text(None if row["price"] is None else Fraction(row["price"], terms.price_scale), 4),
        _text(_value(row["cost"], terms), 2),
        *(_text(lots * terms.lot, 5) for lots in row["lots"]),
        *map(str, row["bytes"]),
        str(row["best_single"] or "none can"),
        _text(row["saving_vs_best_single_bps"], 4),
        str(row["central_difference_lots"]),
    )


def _standing_headline(figures: Mapping[str, Any], terms: Terms) -> dict[str, str]:
    return {
        "plans": str(len(figures["plans"])),
        "saving against the best single venue, mean bps": _text(
            figures["saving_vs_best_single_bps"], 4
        ),
        "lots off the central optimum, in all": str(figures["cost_vs_central_optimum_lots"]),
        "cost off the central optimum, in all": _text(
            _value(figures["cost_vs_central_optimum"], terms), 2
        ),
    }


def _split_headline(figures: Mapping[str, Any], terms: Terms) -> dict[str, str]:
    unfilled = {
        f"left unfilled by limits of {lag} plan(s) ago": _text(share, 4)
        for lag, share in figures["unfilled_share"].items()
    }
    return {
        "share of re-plans that changed the split": _text(figures["changed_share"], 4),
        "moved between venues, in all, base currency": _text(
            Fraction(figures["moved_lots"]) * terms.lot, 5
        ),
        "lost to native steps, in all, base currency": _text(
            figures["rounding_lots"] * terms.lot, 5
        ),
        **unfilled,
    }


def _comparable(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Plans whose whole quantity some venue could have filled alone."""
    return [row for row in rows if row["best_single_cost"] is not None]


def _saving(rows: Sequence[Mapping[str, Any]]) -> Plot:
    rows = _comparable(rows)
    return Plot(
        title="Saving against the best single venue",
        kind="line",
        x_label="plan",
        y_label="bps of the order's value",
        x=tuple(float(row["k"]) for row in rows),
        series={"saving": tuple(float(row["saving_vs_best_single_bps"]) for row in rows)},
    )


def _cost(rows: Sequence[Mapping[str, Any]], terms: Terms) -> Plot:
    """Average all-in prices of the plan and of the best single venue."""
    rows = _comparable(rows)

    def average(column: str) -> tuple[float, ...]:
        amounts = (Fraction(row[column], sum(row["lots"]) * terms.price_scale) for row in rows)
        return tuple(map(float, amounts))

    return Plot(
        title="Average all-in price of the order",
        kind="line",
        x_label="plan",
        y_label="quote currency",
        x=tuple(float(row["k"]) for row in rows),
        series={"plan": average("cost"), "best single venue": average("best_single_cost")},
    )


def _executed(figures: Mapping[str, Any], terms: Terms, suffix: str) -> Section:
    fills = figures["fills"]
    venues = figures["venues"]
    numbers = tuple(float(row["k"]) for row in fills)
    filled = figures["filled_lots"]
    average = Fraction(figures["cost"], filled * terms.price_scale) if filled else None
    return Section(
        title=f"An executed order{suffix}",
        text=f"{EXECUTED} {LEARNED}",
        figures={
            "filled, base currency": _text(filled * terms.lot, 5),
            "plans": str(figures["plans"]),
            "went": str(figures["go"]),
            "void": str(figures["void"]),
            "all-in cost at the fills' own prices": _text(_value(figures["cost"], terms), 2),
            "average all-in price": _text(average, 4),
        },
        columns=("plan", "asked for", *venues, "all-in cost", "left before"),
        rows=tuple(
            (
                str(row["k"]),
                _text(row["wanted_lots"] * terms.lot, 5),
                *(_text(lots * terms.lot, 5) for lots in row["lots"]),
                _text(_value(row["cost"], terms), 2),
                _text(row["left_lots"] * terms.lot, 5),
            )
            for row in fills
        ),
        plots=(
            Plot(
                title="Fills a plan",
                kind="bar",
                x_label="plan",
                y_label="base currency",
                x=numbers,
                series={
                    venue: tuple(_base(row["lots"][i], terms) for row in fills)
                    for i, venue in enumerate(venues)
                },
            ),
            Plot(
                title="Left to do before each plan",
                kind="line",
                x_label="plan",
                y_label="base currency",
                x=numbers,
                series={"left": tuple(_base(row["left_lots"], terms) for row in fills)},
            ),
        ),
    )


def _base(lots: int, terms: Terms) -> float:
    return float(lots * terms.lot)


def _value(value: int, terms: Terms) -> Fraction:
    """A value (lots times price units) in the quote currency."""
    return value * terms.lot / terms.price_scale


def _text(value: Fraction | float | None, places: int) -> str:
    """A number with a fixed number of decimal places, or that there is none."""
    return "not available" if value is None else f"{float(value):,.{places}f}"
