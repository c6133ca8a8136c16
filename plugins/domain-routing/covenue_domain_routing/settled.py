"""What the plans of an order came to, in lots, whatever books a party holds."""

from collections.abc import Sequence

from covenue.hooks.domains import Acted
from covenue.numerics.words import Words, words


def settled(acted: Sequence[Acted]) -> tuple[Words, Words]:
    """(executed, unknown) lots over an order.

    Fills count for what the venue reports, even beyond what was planned: hiding that would hide a
    broken venue. What is not known counts as unknown up to what was planned.
    """
    executed = unknown = 0
    for deed in acted:
        reports = deed.outcomes
        done = sum(int(fill.units) for report in reports or () for fill in report.fills)
        executed += done
        if reports is None or any(report.status == "unknown" for report in reports):
            unknown += max(0, int(deed.planned[0]) - done)
    return words([executed]), words([unknown])
