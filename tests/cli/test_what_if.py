"""`covenue run SCENARIO --what-if …` and `--solver auto`, on the shipped scenario."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from covenue.cli.program import program
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_execution import Execution
from covenue_domain_routing import Routing

SCENARIO = str(Routing().scenarios()[0].path)
OTHERS = {
    "execution": (str(Execution().scenarios()[0].path), "credit.cedar=1"),
    "books of arbitrage": (str(Arbitrage().scenarios()[1].path), "fee.north=0.6"),
}


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(program, ["run", SCENARIO, *arguments])
        assert list(tmp_path.iterdir()) == []
        return result

    return run


def test_a_lower_fee_draws_lots_to_its_venue_and_lowers_the_cost(invoke: Any) -> None:
    answer = json.loads(invoke("--what-if", "fee.spot=1.0", "--json").output)
    before, after = answer["before"][0], answer["after"][0]
    spot = after["venues"].index("spot")
    assert after["lots"][spot] > before["lots"][spot]
    assert after["cost"] < before["cost"]
    assert after["central_difference_lots"] == 0


def test_the_setting_as_it_is_changes_nothing(invoke: Any) -> None:
    answer = json.loads(invoke("--what-if", "fee.spot=2.4", "--json").output)
    assert answer["before"] == answer["after"]


def test_several_settings_are_tried_together_and_the_screen_says_why(invoke: Any) -> None:
    result = invoke("--what-if", "fee.spot=50", "--what-if", "basis.usdm=-3.6")
    assert result.exit_code == 0
    assert "its best all-in price is beyond the marginal level" in result.output


@pytest.mark.parametrize("case", OTHERS)
def test_every_domain_answers_with_a_row_an_order_and_a_reason_a_venue(case: str) -> None:
    scenario, setting = OTHERS[case]
    ran = CliRunner().invoke(program, ["run", scenario, "--what-if", setting, "--json"])
    answer = json.loads(ran.output)
    for before, after in zip(answer["before"], answer["after"], strict=True):
        assert len(after["why"]) == len(after["venues"])
        assert all(share["because"] for share in after["why"])
        assert before["venues"] == after["venues"]
        assert before["value" if "value" in before else "profit"] is not None
        assert before != after


def test_a_setting_that_pools_do_not_have_is_refused() -> None:
    pools = str(Arbitrage().scenarios()[0].path)
    ran = CliRunner().invoke(program, ["run", pools, "--what-if", "fee.amber=5"])
    assert "a setting for order books" in str(ran.exception) + ran.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fee.spto=1", "did you mean 'spot'?"),
        ("fee.spot", "write it like --what-if fee.spot=1.0"),
        ("fees.spot=1", "use only basis_bps, fee_bps"),
        ("fee.spot=cheap", "no plain decimal"),
    ],
)
def test_a_what_if_that_cannot_be_is_refused_with_advice(invoke: Any, text: str, said: str) -> None:
    result = invoke("--what-if", text)
    assert result.exit_code != 0
    assert said in str(result.exception) + result.output


def test_one_setting_is_not_tried_at_two_values(invoke: Any) -> None:
    result = invoke("--what-if", "fee.spot=1", "--what-if", "fee_bps.spot=2")
    assert "given twice" in str(result.exception) + result.output


def test_auto_names_the_solver_that_it_chose_and_why(invoke: Any) -> None:
    ready = json.loads(invoke("--solver", "auto", "--dry-run", "--json").output)
    assert {plugin["name"] for plugin in ready["plugins"]} >= {"search"}
    assert "integer keys" in ready["solver_why"]
    assert "chosen by auto" in invoke("--solver", "auto", "--dry-run").output


@pytest.mark.parametrize("other", [("--dry-run",), ("--compare", "search"), ("--out", "x")])
def test_what_it_would_not_do_is_not_asked_of_it(invoke: Any, other: tuple[str, ...]) -> None:
    result = invoke("--what-if", "fee.spot=1", *other)
    assert "plans once and writes nothing" in str(result.exception) + result.output
