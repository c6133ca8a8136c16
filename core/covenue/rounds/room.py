"""Whether what a plan writes down fits its entries: known before it is asked or begun.

An entry holds 65,535 bytes and names a whole cohort; what is found too large only when it is
written would end the run instead of the plan.
"""

from covenue.errors import EntryTooLarge
from covenue.ledger.entries import room_beside
from covenue_contracts.contract import INTEGER_DIGITS, Contract
from covenue_contracts.ledger import ENTRY_BYTES_MAX
from covenue_contracts.plan import Order, PlanClose, PlanSettled

WORST_WORD = str(-(2**63))
WORST_GROWTH = INTEGER_DIGITS + 1
WORST_REASON = "." * 4096
NO_DIGEST = "0" * 64


def check_order(order: Order) -> None:
    """Raise EntryTooLarge unless the order fits, and whatever its plans say of each coordinate.

    Plans repeat the goal with other numbers: there is room for one more in each coordinate.
    """
    width, dids = len(order.goal.remaining), tuple(m.did for m in order.roster.members)
    if room_beside(order) < width * WORST_GROWTH:
        raise _too_large("the order", width, len(dids))
    row = (WORST_WORD,) * width
    settled = PlanSettled(plan=NO_DIGEST, members=dids, executed=row, unknown=row, planned=row)
    close = PlanClose(
        plan=NO_DIGEST,
        reason=WORST_REASON,
        settled=row,
        reserved=row,
        committed=row,
        left=("9" * INTEGER_DIGITS,) * width,
        order_done=False,
    )
    if min(room_beside(settled), room_beside(close)) < 0:
        raise _too_large("a settlement", width, len(dids))


def fits(body: Contract) -> bool:
    """Whether a body fits an entry, whoever writes it and when."""
    return room_beside(body) >= 0


def _too_large(what: str, width: int, members: int) -> EntryTooLarge:
    return EntryTooLarge(
        f"{what} of {width} coordinates and {members} members exceeds an entry's "
        f"{ENTRY_BYTES_MAX} bytes",
        "plan fewer coordinates or parties together, or give them shorter names",
        field="order.goal",
        value=str(width),
    )
