import stat
from pathlib import Path

import pytest

from covenue.errors import ForeignLedger
from covenue.rounds.identities import demo_identity, kept_identity


def test_a_demo_identity_depends_on_seed_role_and_name_only() -> None:
    names = [
        ("s", "party", "a"),
        ("s", "party", "b"),
        ("s", "coordinator", "a"),
        ("t", "party", "a"),
    ]
    assert len({demo_identity(*name).key.did for name in names}) == len(names)
    assert demo_identity("s", "party", "a") == demo_identity("s", "party", "a")


def test_key_and_log_secret_of_an_identity_differ() -> None:
    who = demo_identity("s", "party", "a")
    assert who.log_secret != who.master
    assert len(who.log_secret) == 32


def test_a_kept_identity_comes_back_and_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a.master"
    made = kept_identity(path, create=True)
    assert kept_identity(path, create=False) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_kept_identity_is_never_overwritten(tmp_path: Path) -> None:
    kept_identity(tmp_path / "a.master", create=True)
    with pytest.raises(FileExistsError):
        kept_identity(tmp_path / "a.master", create=True)


@pytest.mark.parametrize("content", [None, "no hex"])
def test_a_missing_or_broken_master_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "a.master"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ForeignLedger) as caught:
        kept_identity(path, create=False)
    assert caught.value.file == str(path)
