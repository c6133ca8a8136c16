from dataclasses import replace

import pytest
from tests.rounds.machine import Around

from covenue.errors import LedgerDamaged
from covenue.hooks.engines import TailReply
from covenue.rounds.delta_sync import follow, pack, unpack
from covenue.rounds.run import follower
from covenue.testing.cohorts import Cohort, Setting


def begun(quantity: int = 6) -> Cohort:
    at = Cohort(Around("open"), Setting(quantity=quantity))
    for _ in range(3):
        at.beat()
    return at


def tail(at: Cohort, start: int = 0) -> TailReply:
    return at.coordinator.tail(start)


def test_a_node_catches_up_in_one_step_or_in_many() -> None:
    at = begun()
    whole = follow(follower("covenue/coordinator", at.did(3)), tail(at))
    parts = follower("covenue/coordinator", at.did(3))
    parts = follow(parts, tail(at))
    at.calm()
    rest = tail(at, parts.size())
    assert parts.frontier == whole.frontier
    assert follow(parts, rest).size() == at.coordinator.size()


def test_a_tail_from_another_place_is_refused() -> None:
    at = begun()
    known = follow(follower("covenue/coordinator", at.did(3)), tail(at))
    with pytest.raises(LedgerDamaged, match="starts at 0"):
        follow(known, tail(at))


def test_a_forked_log_is_refused() -> None:
    at, other = begun(), begun(quantity=5)
    known = follow(follower("covenue/coordinator", at.did(3)), tail(at))
    other.calm()
    with pytest.raises(LedgerDamaged):
        follow(known, tail(other, known.size()))


def test_a_log_that_was_rolled_back_is_refused() -> None:
    at = begun()
    old = tail(at)
    at.calm()
    known = follow(follower("covenue/coordinator", at.did(3)), tail(at))
    with pytest.raises(LedgerDamaged, match="ROLLBACK"):
        follow(known, replace(old, start=known.size(), entries=()))


def test_a_log_of_another_key_or_name_is_refused() -> None:
    at = begun()
    for who in (follower("covenue/coordinator", at.did(0)), follower("another", at.did(3))):
        with pytest.raises(LedgerDamaged):
            follow(who, tail(at))


def test_a_changed_missing_or_added_entry_is_refused() -> None:
    at = begun()
    true = tail(at)
    changed = (true.entries[0].replace(b"6", b"7", 1), *true.entries[1:])
    for entries in (changed, true.entries[:-1], (*true.entries, true.entries[-1])):
        with pytest.raises(LedgerDamaged):
            follow(follower("covenue/coordinator", at.did(3)), replace(true, entries=entries))


def test_a_node_that_was_shown_a_fork_folds_nothing_of_it() -> None:
    at, other = begun(), begun(quantity=5)
    other.calm()
    node = at.node(0)
    size, wants = at.log(0).size, node.wants()
    with pytest.raises(LedgerDamaged):
        node.deliver(tail(other, wants), at.clock(0))
    assert (at.log(0).size, node.wants()) == (size, wants)


def test_a_bundle_unpacks_to_what_was_packed() -> None:
    reply = TailReply(3, (b"one", b"", b"three"), b"?", {})
    entries, blobs = unpack(pack(reply))
    assert entries == reply.entries
    assert blobs == {}
    at = begun()
    whole = tail(at)
    assert unpack(pack(whole)) == (whole.entries, whole.blobs)


def test_a_cut_bundle_or_one_with_a_rest_is_refused() -> None:
    bundle = pack(TailReply(0, (b"one", b"two"), b"?", {"x": b"blob"}))
    for length in range(len(bundle)):
        with pytest.raises(LedgerDamaged, match="cut"):
            unpack(bundle[:length])
    with pytest.raises(LedgerDamaged, match="cut"):
        unpack(bundle + b"!")


def test_a_tail_of_no_entries_changes_nothing() -> None:
    at = begun()
    for _ in range(3):
        at.read(0)
    size = at.log(0).size
    at.node(0).deliver(at.coordinator.tail(at.node(0).wants()), at.clock(0))
    assert at.log(0).size == size
