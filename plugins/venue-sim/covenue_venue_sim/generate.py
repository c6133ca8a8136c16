"""Generates a venue's folder: `python -m covenue_venue_sim.generate --out DIR …`.

Venues that share `--walk-seed` follow one middle; `--offset-bps` sets them apart, so two calls make
two venues between which somebody could earn the difference.
"""

from fractions import Fraction
from pathlib import Path

import click
from pydantic import ValidationError

from covenue.errors import BadInput, CovenueError, OutputExists
from covenue_contracts.canonical import canonical
from covenue_contracts.energibridge import Instrument
from covenue_venue_sim.flow import Flow, generated
from covenue_venue_sim.tables import COLUMNS, FLAGS, request_text

HEADER = ",".join((*COLUMNS, FLAGS))


def generate(out: Path, instrument: Instrument, flow: Flow) -> None:
    """Write `instrument.json` and `orders.csv` into the new folder `out`, all or nothing.

    Raises OutputExists, BadInput.
    """
    partial = out.with_name(f"{out.name}.partial")
    for place in (out, partial):
        if place.exists():
            raise OutputExists("the output exists", "name another folder", file=str(place))
    rows = [f"{timed.time},{request_text(timed.request)}" for timed in generated(flow)]
    partial.mkdir(parents=True)
    (partial / "instrument.json").write_bytes(canonical(instrument) + b"\n")
    text = "".join(f"{row}\n" for row in (HEADER, *rows))
    (partial / "orders.csv").write_text(text, encoding="utf-8", newline="\n")
    partial.rename(out)


def ticks_of(price: str, tick: str, offset_bps: int = 0) -> int:
    """A price in ticks, moved by basis points and rounded down. Raises BadInput."""
    try:
        return int(Fraction(price) * (10_000 + offset_bps) / 10_000 // Fraction(tick))
    except (ValueError, ZeroDivisionError) as error:
        raise BadInput(
            "a decimal is expected", "write it like 50000.5", field="mid", value=price
        ) from error


def linear(
    venue: str,
    canonical_name: str,
    *,
    base: str,
    quote: str,
    tick: str,
    step: str,
) -> Instrument:
    """A linear instrument that is open all day, its least quantity one step. Raises BadInput."""
    try:
        return Instrument(
            venue=venue,
            symbol=f"{base}{quote}",
            canonical=canonical_name,
            base=base,
            quote=quote,
            tick=tick,
            step=step,
            minimum=step,
            multiplier="1",
            payoff="linear",
            hours="24/7",
            zone="UTC",
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            "the instrument is not well formed",
            "write names in lower case and increments as plain decimals",
            field=str(first["loc"][0]),
            value=str(first["input"])[:200],
        ) from error


NATURAL = click.IntRange(min=0)
POSITIVE = click.IntRange(min=1)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@click.option("--venue", required=True, help="The venue's name.")
@click.option("--seed", type=NATURAL, required=True, help="Of this venue's orders.")
@click.option("--canonical", "canonical_name", default="base-quote", help="The instrument's name.")
@click.option("--base", default="BASE", help="Currency of quantities.")
@click.option("--quote", default="QUOTE", help="Currency of prices.")
@click.option("--tick", default="0.1", help="Price increment.")
@click.option("--step", default="0.001", help="Quantity increment.")
@click.option("--mid", default="10000", help="Middle of the first book.")
@click.option("--offset-bps", type=click.IntRange(-5_000, 5_000), default=0, help="Moves it.")
@click.option("--walk-seed", type=NATURAL, default=Flow.walk_seed, help="Of the middle's walk.")
@click.option("--walk-ticks", type=NATURAL, default=Flow.walk_ticks, help="Its most a second.")
@click.option("--spread-ticks", type=POSITIVE, default=Flow.spread_ticks, help="Best ask - bid.")
@click.option("--levels", type=POSITIVE, default=Flow.levels, help="Prices a side.")
@click.option("--size-steps", type=POSITIVE, default=Flow.size_steps, help="Mean size.")
@click.option("--start", type=NATURAL, default=Flow.start, metavar="NS", help="First order.")
@click.option("--seconds", type=NATURAL, default=Flow.seconds, help="How long it lasts.")
@click.option("--rate", type=NATURAL, default=Flow.rate, help="Requests a second.")
def main(
    *,
    out: Path,
    venue: str,
    canonical_name: str,
    base: str,
    quote: str,
    tick: str,
    step: str,
    mid: str,
    offset_bps: int,
    **numbers: int,
) -> None:
    """Write a venue's folder, deterministically."""
    try:
        instrument = linear(venue, canonical_name, base=base, quote=quote, tick=tick, step=step)
        flow = Flow(mid_ticks=ticks_of(mid, tick, offset_bps), **numbers)
        generate(out, instrument, flow)
    except CovenueError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
