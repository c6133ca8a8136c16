"""Recorded exchange captures as a venue, with paper execution."""

from covenue.hooks import hookimpl
from covenue.hooks.venues import RegisterVenue


@hookimpl
def register_venues(register: RegisterVenue) -> None:
    """Hand over the factory of recorded venues."""
    from covenue_venue_recorded.venue import RecordedVenue

    register("recorded", RecordedVenue)
