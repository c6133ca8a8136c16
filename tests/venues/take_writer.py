"""Child of test_sim_venue.py: takes for ever, and says how many orders it has had an answer to.

Run as `python take_writer.py FOLDER`; its parent kills it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.venues.crashes import applies_for_ever
from tests.venues.simulated import legs_of, taking

from covenue_venue_sim.venue import SimVenue


def main() -> None:
    folder = Path(sys.argv[1])
    venue = SimVenue({"journal": str(folder / "journal")}, folder)
    applies_for_ever(venue, legs_of(taking("buy", 10**6, 1)))


if __name__ == "__main__":
    main()
