"""`covenue demo vwap` as a person runs it: certified schedules, and an order that is filled."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("vwap") / "run"
    covenue = Path(sys.executable).parent / "covenue"
    command = [str(covenue), "demo", "vwap", "--json", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_every_plan_is_certified_and_the_standing_ones_are_borne_out(demo: dict[str, Any]) -> None:
    assert (demo["status"], demo["replay"], demo["parties"]) == ("ok", "identical", 3)
    rows = demo["plans"]
    standing = [row for row in rows if row["mode"] == "standing"]
    assert {row["status"] for row in rows} == {"certified"}
    assert demo["uncertified"] == 0
    assert demo["certificate_holds"] is True
    assert 0 <= demo["gap"] <= 1e-5
    assert len(standing) == 3
    assert all(row["holds"] and sum(row["schedule"]) == 600_000 for row in standing)


def test_the_order_is_filled_to_the_lot_and_stays_near_its_curve(demo: dict[str, Any]) -> None:
    executed = demo["executed"]
    assert executed["filled"] == executed["quantity"] == executed["done"][-1] == 600_000
    assert sum(executed["lots"].values()) == 600_000
    assert all(lots > 0 for lots in executed["lots"].values())
    behind = [then - now for then, now in zip(executed["target"], executed["done"], strict=True)]
    assert max(map(abs, behind)) < 60_000
    assert 0 < executed["shortfall_bps"] < 5
    total = sum(float(amount) for amount in executed["shortfall"].values())
    assert total == pytest.approx(float(executed["shortfall_total"]))
