"""Rosters: who takes part, in one order, under one digest."""

from collections.abc import Iterable

from covenue.errors import IdentityRefused
from covenue.identity.did import public_key
from covenue_contracts.canonical import digest
from covenue_contracts.plan import Member, Roster

TAG = "covenue/roster/1"


def make_roster(coordinator: str, members: Iterable[Member]) -> Roster:
    """A roster with its members in order of did. Raises IdentityRefused as `check_roster` does."""
    ordered = tuple(sorted(members, key=lambda member: member.did))
    if not ordered:
        raise _refused("it has no members", "members", "")
    roster = Roster(coordinator=coordinator, members=ordered)
    check_roster(roster)
    return roster


def check_roster(roster: Roster) -> None:
    """Refuse a roster whose members repeat a did, slot or name, are unordered, or name no key."""
    public_key(roster.coordinator)
    for field in ("did", "slot", "name"):
        seen: set[object] = set()
        for member in roster.members:
            value = getattr(member, field)
            if value in seen:
                raise _refused("two members share one value", f"members.{field}", str(value))
            seen.add(value)
    dids = [member.did for member in roster.members]
    if dids != sorted(dids):
        raise _refused("its members are not in order of did", "members", "")
    for did in dids:
        public_key(did)


def roster_digest(roster: Roster) -> str:
    """The digest that every plan and every round context carries."""
    return digest(roster, TAG)


def _refused(why: str, field: str, value: str) -> IdentityRefused:
    return IdentityRefused(
        f"a roster is refused: {why}",
        "give every party one did, one name and one slot of its own",
        field=field,
        value=value,
    )
