"""Constant-product pools as a venue, in batched arrays, with paper execution."""

from covenue.hooks import hookimpl
from covenue.hooks.venues import RegisterVenue


@hookimpl
def register_venues(register: RegisterVenue) -> None:
    """Hand over the factory of pool venues."""
    from covenue_venue_amm.venue import PoolVenue

    register("amm", PoolVenue)
