"""Report sections: what the plans were worth, how they were found, and what was done."""

from collections.abc import Mapping, Sequence
from typing import Any

from covenue.hooks.domains import OpenedPlan, Plot, Section

OPENED = (
    "The last two columns are computed with all venues opened, outside the cohort: no party and "
    "not the coordinator saw this while planning."
)
LEARNED = (
    "Every party learns the multipliers and the sums of net amounts. Which pools there are, their "
    "reserves, and what is done with each, stays with its party."
)
CERTIFICATE = (
    "Value is what the plan takes, at the public references; no plan at all can be worth more than "
    "the bound. Both follow from the sums alone."
)
OPENED_SHARES = "Computed with all venues opened, outside the cohort."
EXECUTED = (
    "Paper execution on the venues' own pools: a swap changes the pool, and the next plan starts "
    "from there. Other people's recorded swaps go on; they do not react to ours."
)


def sections(figures: Mapping[str, Any], plans: Sequence[OpenedPlan]) -> Sequence[Section]:
    """One section for standing plans, one for what was executed."""
    made: list[Section] = []
    if figures["standing"]["plans"]:
        made.append(_standing(figures))
        made.extend(_why(figures["standing"]))
    if figures["executed"]["plans"]:
        made.append(_executed(figures["executed"]))
    return tuple(made)


def _standing(figures: Mapping[str, Any]) -> Section:
    rows = figures["standing"]["plans"]
    venues = figures["standing"]["venues"]
    sent = tuple(f"bytes from {venue}" for venue in venues)
    numbers = tuple(float(row["k"]) for row in rows)
    return Section(
        title="Standing plans: what could be taken",
        text=f"{CERTIFICATE} {LEARNED} {OPENED}",
        figures={
            "pools": str(figures["pools"]),
            "plans": str(len(rows)),
            "plans without certificate": str(figures["uncertified"]),
            "greatest certified gap, relative to bound or floor": _gap(figures["gap"]),
            "every certificate borne out by the opened venues": str(
                figures["certificate_holds"]
            ).lower(),
        },
        columns=(
            "plan",
            "status",
            "rounds",
            "value",
            "bound",
            "gap",
            "pools that act",
            *sent,
            "opened value",
            "opened bound",
        ),
        rows=tuple(_row(row) for row in rows),
        plots=(
            Plot(
                title="Value of the plan",
                kind="line",
                x_label="plan",
                y_label="unit of account",
                x=numbers,
                series={"value": tuple(float(row["profit"]) for row in rows)},
            ),
            Plot(
                title="Rounds: the first plan is cold, the others start from the one before",
                kind="bar",
                x_label="plan",
                y_label="rounds",
                x=numbers,
                series={"rounds": tuple(float(row["rounds"]) for row in rows)},
            ),
        ),
    )


def _why(standing: Mapping[str, Any]) -> Sequence[Section]:
    """The last standing plan whose shares are known, venue by venue."""
    known = [row for row in standing["plans"] if row["why"]]
    if not known:
        return ()
    row = known[-1]
    return (
        Section(
            title="Why each venue got its share",
            text=f"Plan {row['k']}: whatever is off the plan's values by more than its fee acts "
            f"until it no longer is. {OPENED_SHARES}",
            columns=("venue", "net value at the references", "because"),
            rows=tuple(
                (venue, str(why["value"] or "-"), why["because"])
                for venue, why in zip(standing["venues"], row["why"], strict=True)
            ),
        ),
    )


def _gap(gap: float | None) -> str:
    return "none" if gap is None else f"{gap:.3g}"


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(row["k"]),
        f"{row['status']}, stands" if row["stands"] else str(row["status"]),
        str(row["rounds"]),
        str(row["profit"]),
        str(row["bound"]),
        f"{row['gap']:.3g}",
        str(row["active"]),
        *map(str, row["bytes"]),
        str(row["opened_profit"] or "-"),
        str(row["opened_bound"] or "-"),
    )


def _executed(figures: Mapping[str, Any]) -> Section:
    fills = figures["fills"]
    return Section(
        title="Executed plans: what was taken",
        text=f"{EXECUTED} {LEARNED}",
        figures={
            "plans": str(figures["plans"]),
            "plans that went": str(figures["go"]),
            "value taken, at the references": figures["profit"],
            "assets owed at the end": ", ".join(figures["owed"]) or "none",
        },
        columns=("plan", "fills", "value"),
        rows=tuple((str(row["k"]), str(row["fills"]), str(row["profit"])) for row in fills),
        plots=(
            Plot(
                title="Value taken by plan",
                kind="bar",
                x_label="plan",
                y_label="unit of account",
                x=tuple(float(row["k"]) for row in fills),
                series={"value": tuple(float(row["profit"]) for row in fills)},
            ),
        ),
    )
