"""Report sections: the schedule against its target, what it cost, and its certificates."""

from collections.abc import Mapping, Sequence
from typing import Any

from covenue.hooks.domains import OpenedPlan, Plot, Section

CERTIFICATE = (
    "A plan's value is what it costs beyond the arrival price and for leaving the curve, below "
    "zero; no plan at all can be worth more than the bound. Both follow from the sums alone."
)
LEARNED = (
    "Every party learns the marginal price and the sum of lots of each slice. Forecasts, spreads, "
    "impact, credits, and who trades what, stay with their party."
)
OPENED = (
    "The lot gap of a standing plan is recomputed in fractions with all venues opened, outside the "
    "cohort: no party and not the coordinator saw this while planning."
)
OPENED_SHARES = "Computed with all venues opened, outside the cohort."
EXECUTED = (
    "Each plan acts on the slice that is due, by orders that take what rests within the marginal "
    "price or nothing. What is not filled stays on the path, and the next plan makes it up."
)


def sections(figures: Mapping[str, Any], plans: Sequence[OpenedPlan]) -> Sequence[Section]:
    """One section for the plans, one for what was executed."""
    made: list[Section] = []
    if figures["plans"]:
        made.append(_planned(figures))
        made.extend(_why(figures))
    if figures["executed"] is not None:
        made.append(_executed(figures["executed"]))
    return tuple(made)


def _planned(figures: Mapping[str, Any]) -> Section:
    rows = figures["plans"]
    sent = tuple(f"bytes from {venue}" for venue in figures["venues"])
    gap = figures["gap"]
    return Section(
        title="Plans: lots over slices and venues",
        text=f"{CERTIFICATE} {LEARNED} {OPENED}",
        figures={
            "plans": str(len(rows)),
            "plans without certificate": str(figures["uncertified"]),
            "greatest certified gap, relative to bound or floor": (
                "none" if gap is None else f"{gap:.3g}"
            ),
            "every standing certificate borne out by the opened venues": str(
                figures["certificate_holds"]
            ).lower(),
        },
        columns=("plan", "status", "rounds", "lots", "value", "bound", "gap", "lot gap", *sent),
        rows=tuple(_row(row) for row in rows),
        plots=tuple(_schedule(row) for row in rows if row["schedule"] is not None)[:1],
    )


def _why(figures: Mapping[str, Any]) -> Sequence[Section]:
    """The last standing plan, venue by venue."""
    standing = [row for row in figures["plans"] if row["why"]]
    if not standing:
        return ()
    row = standing[-1]
    return (
        Section(
            title="Why each venue got its share",
            text=f"Plan {row['k']}: every venue trades while its marginal cost is below the "
            f"slice's marginal price, within its own limits. {OPENED_SHARES}",
            columns=("venue", "lots", "because"),
            rows=tuple(
                (venue, str(lots), why["because"])
                for venue, lots, why in zip(figures["venues"], row["lots"], row["why"], strict=True)
            ),
        ),
    )


def _schedule(row: Mapping[str, Any]) -> Plot:
    return Plot(
        title=f"Plan {row['k']}: lots by slice, and the target",
        kind="line",
        x_label="slice",
        y_label="lots",
        x=tuple(float(t) for t in range(len(row["target"]))),
        series={
            "planned": tuple(map(float, row["schedule"])),
            "target": tuple(map(float, row["target"])),
        },
    )


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(row["k"]),
        str(row["status"]),
        str(row["rounds"]),
        str(row["wanted"]),
        str(row["value"]),
        str(row["bound"]),
        f"{row['gap']:.3g}",
        "-" if row["lot_gap"] is None else f"{row['lot_gap']:.3g}",
        *map(str, row["bytes"]),
    )


def _executed(figures: Mapping[str, Any]) -> Section:
    slices = tuple(float(t) for t in range(len(figures["target"])))
    return Section(
        title="Executed: the schedule against its target",
        text=f"{EXECUTED} {LEARNED}",
        figures={
            "plans": str(figures["plans"]),
            "plans that went": str(figures["go"]),
            "lots filled": f"{figures['filled']} of {figures['quantity']}",
            "shortfall against the arrival price": figures["shortfall_total"],
            "shortfall in basis points": f"{figures['shortfall_bps']:.3f}",
        },
        columns=("venue", "lots", "shortfall"),
        rows=tuple(
            (name, str(lots), str(figures["shortfall"][name]))
            for name, lots in figures["lots"].items()
        ),
        plots=(
            Plot(
                title="Lots filled up to the end of each slice, and the target",
                kind="line",
                x_label="slice",
                y_label="lots",
                x=slices,
                series={
                    "filled": tuple(map(float, figures["done"])),
                    "target": tuple(map(float, figures["target"])),
                },
            ),
            Plot(
                title="Distance from the target at the end of each slice",
                kind="bar",
                x_label="slice",
                y_label="lots",
                x=slices,
                series={
                    "behind": tuple(
                        float(then - now)
                        for then, now in zip(figures["target"], figures["done"], strict=True)
                    )
                },
            ),
        ),
    )
