"""A simulated venue: price-time priority, integer ticks and lots, fees, partial fills."""

from covenue.hooks import hookimpl
from covenue.hooks.venues import RegisterVenue


@hookimpl
def register_venues(register: RegisterVenue) -> None:
    """Hand over the factory of simulated venues."""
    from covenue_venue_sim.venue import SimVenue

    register("sim", SimVenue)
