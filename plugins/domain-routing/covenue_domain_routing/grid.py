"""One public axis of integer keys: all-in price first, the venue's slot as tie break."""

from collections.abc import Sequence
from dataclasses import dataclass

from covenue.errors import BadInput
from covenue.numerics.decimals import plain
from covenue_contracts.plan import Member
from covenue_contracts.shared import Space
from covenue_domain_routing.goals import HIGHEST_PRICE, ROOM, Terms

SIGNAL = "routing-depth"
MOST_MEMBERS = 2**20
RING_MOST = 2**63 - 1


@dataclass(frozen=True)
class KeyGrid:
    """How prices and keys correspond; the same for all participants of an order.

    buying:  key = price * 2^shift + slot                (cheapest first)
    selling: key = (top - price) * 2^shift + slot        (dearest first)
    limit: worst price that is offered. most_value: largest value of a whole ladder. No sum can
    wrap: members * quantity < 2^63, and a ladder of a larger value is refused by its own party,
    which alone can know it.
    """

    buying: bool
    shift: int
    top: int
    limit: int
    most_value: int

    @property
    def key_range(self) -> tuple[int, int]:
        """(first, end) of the keys that a level may have."""
        steps = self.limit if self.buying else self.top - self.limit
        return 0, (steps + 1) << self.shift

    def key_of(self, price: int, slot: int) -> int:
        """The key of a slot's level at an all-in price."""
        steps = price if self.buying else self.top - price
        return (steps << self.shift) + slot

    def price_of(self, key: int) -> int:
        """The all-in price of a key, in price units."""
        steps = key >> self.shift
        return steps if self.buying else self.top - steps


def key_grid(terms: Terms, members: Sequence[Member]) -> KeyGrid:
    """The grid of an order: it depends on neither its quantity nor its pace.

    A highest price that shrank with the quantity would hide real offers of a large order. Raises
    BadInput when the lots of quantity and members cannot be summed within 64 bits.
    """
    slots = max((member.slot for member in members), default=0) + 1
    size = max(len(members), slots, 1)
    if size > MOST_MEMBERS:
        raise BadInput(
            "a slot is too large for the tie bits of a key",
            f"number the members from 0, at most {MOST_MEMBERS} of them",
            field="party.slot",
            value=str(slots - 1),
        )
    if size * terms.quantity > RING_MOST:
        raise BadInput(
            "the order is too large: the sum of its lots could leave 64 bits",
            "use a larger lot, or split the order",
            field=f"{ROOM}quantity",
            value=plain(terms.quantity * terms.lot),
        )
    top = HIGHEST_PRICE
    worst = terms.limit if terms.limit is not None else (top if terms.side == "buy" else 0)
    return KeyGrid(terms.side == "buy", (size - 1).bit_length(), top, worst, word_bound(members))


def space(members: Sequence[Member]) -> Space:
    """Lots below each probe, and the value of those below the first; exact integers."""
    return Space(
        signal=SIGNAL,
        names=("lots", "value"),
        units=("lot", "lot-price"),
        scale_bits=0,
        bound=str(word_bound(members)),
    )


def word_bound(members: Sequence[Member]) -> int:
    """The largest word that everybody may send without the sum leaving 64 bits."""
    return RING_MOST // max(1, len(members))
