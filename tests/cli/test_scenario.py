"""The scenario file: what is read, and the sentence that each bad input gets."""

import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import BadInput, BudgetExhausted
from covenue.rounds import scenario_options as options_module
from covenue.rounds.scenario import ScenarioFile, read_scenario, scenario_options
from covenue.rounds.scenario_table import DecimalText, Table

TEXT = """
[scenario]
name = "three"
summary = "Three parties"
demo = true
seed = "s"
[domain]
name = "routing"
[domain.goal]
side = "buy"
quantity = 100
pace = 2.50
[solver]
name = "search"
[solver.options]
probes = 255
ladder = [1, 2, 3]
[privacy]
mechanism = ["open"]
[ledger]
backend = "sqlite"
[engine]
name = "inprocess"
[cohort]
least = 2
min_changed = 2
differencing = "refuse"
[deadlines]
upload = 200
[[order]]
mode = "standing"
start = 1723161260000000000
every_ms = 1000
plans = 100
[[order]]
mode = "executed"
start = 1723161260000000000
every_ms = 1000
plans = 10
goal = { pace = "7" }
[[party]]
name = "spot"
slot = 0
venue = "recorded"
folder = "spot"
venue_config = { dialect = "binance-spot" }
config = { fee_bps = "2.4", basis_bps = -3.5 }
budget = { exact_max = 5000, rho_max = 0 }
[[party]]
name = "coinm"
slot = 2
venue = "recorded"
folder = "coinm"
config = { fee_bps = "2.4" }
budget = { exact_max = 5000 }
[options.fees]
help = "Taker fees"
default = "vip"
[options.fees.choices.vip]
[options.fees.choices.retail]
"party.spot.config.fee_bps" = "10"
party.coinm.config.fee_bps = "5"
[options.quantity]
sets = ["domain.goal.quantity", "order.1.goal.quantity"]
[options.probes]
default = 255
sets = ["solver.options.probes"]
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A scenario file with its parties' folders; replacements say what differs."""
    for folder in ("spot", "coinm"):
        (tmp_path / folder).mkdir()

    def written(*replacements: tuple[str, str]) -> Path:
        text = TEXT
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / "scenario.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


Write = Callable[..., Path]


def test_a_scenario_becomes_frozen_values(write: Write) -> None:
    scenario = read_scenario(write())
    assert (scenario.name, scenario.demo, scenario.seed) == ("three", True, "s")
    assert (scenario.domain, scenario.solver, scenario.privacy) == ("routing", "search", ("open",))
    assert (scenario.ledger, scenario.engine) == ("sqlite", "inprocess")
    assert scenario.solver_options == {"probes": 255, "ladder": (1, 2, 3)}
    assert scenario.policy.least == 2
    assert scenario.policy.colluders == 0
    with pytest.raises(TypeError):
        scenario.goal["side"] = "sell"  # type: ignore[index]  # a frozen value refuses this


def test_milliseconds_become_nanoseconds_and_deadlines_have_defaults(write: Write) -> None:
    scenario = read_scenario(write())
    assert (scenario.deadlines.upload, scenario.deadlines.join) == ("200000000", "5000000000")
    standing = scenario.orders[0]
    assert (standing.start, standing.every) == (1723161260000000000, 1_000_000_000)
    assert standing.until == standing.start + 100 * standing.every


def test_an_order_s_goal_is_the_scenario_s_with_its_overrides(write: Write) -> None:
    standing, executed = read_scenario(write()).orders
    assert standing.goal == {"side": "buy", "quantity": 100, "pace": "2.50"}
    assert executed.goal == {"side": "buy", "quantity": 100, "pace": "7"}


def test_numbers_with_a_point_stay_as_written_and_never_pass_through_a_float(write: Write) -> None:
    scenario = read_scenario(write(("2.50", "0.1000000000000000055511151231257827")))
    assert scenario.goal["pace"] == "0.1000000000000000055511151231257827"
    assert scenario.parties[1].config["basis_bps"] == "-3.5"
    assert type(scenario.goal["pace"]) is str


def test_parties_are_sorted_so_that_the_file_s_order_cannot_matter(
    write: Write, tmp_path: Path
) -> None:
    scenario = read_scenario(write())
    head, spot, coinm = TEXT.partition("[options.fees]")[0].split("[[party]]")
    turned = (
        "[[party]]".join([head, coinm, spot]) + "[options.fees]" + TEXT.split("[options.fees]")[1]
    )
    (tmp_path / "turned.toml").write_text(turned)
    other = read_scenario(tmp_path / "turned.toml")
    assert [party.name for party in scenario.parties] == ["coinm", "spot"]
    assert other.parties == scenario.parties


def test_folders_are_relative_to_the_file_and_reach_no_printed_form(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    scenario = read_scenario(path)
    assert scenario.parties[0].folder == (tmp_path / "coinm").resolve()
    assert str(tmp_path) not in repr(scenario)
    assert "fee_bps" not in repr(scenario.parties)


BAD: dict[str, tuple[tuple[str, str], str, str, str]] = {
    "malformed TOML names line and column": (
        ("[solver]", "[solver"),
        "malformed TOML",
        "line 13, column 8",
        "correct the line",
    ),
    "a key given twice is malformed": (
        ('seed = "s"', 'seed = "s"\nseed = "t"'),
        "malformed TOML",
        "line 7",
        "correct the line",
    ),
    "an unknown table gets the nearest": (
        ("[ledger]", "[leger]"),
        "unknown key 'leger'",
        "leger",
        "did you mean 'ledger'?",
    ),
    "an unknown key gets the nearest": (
        ("least = 2", "leest = 2"),
        "unknown key 'leest'",
        "cohort.leest",
        "did you mean 'least'?",
    ),
    "an unknown key of a party is placed by the party's name": (
        ("slot = 0", "slott = 0"),
        "unknown key 'slott'",
        "party.spot.slott",
        "'slot'",
    ),
    "a missing key": (
        ('seed = "s"', ""),
        "'seed' is missing from [scenario]",
        "scenario.seed",
        "add seed",
    ),
    "a missing table": (
        ('[solver]\nname = "search"\n', ""),
        "'name' is missing from [solver]",
        "solver.name",
        "add",
    ),
    "a text where a number belongs": (
        ("plans = 100", 'plans = "100"'),
        "text where a whole number",
        "order.0.plans",
        "without quotes",
    ),
    "a flag where a number belongs": (
        ("plans = 100", "plans = true"),
        "true/false where a whole number",
        "order.0.plans",
        "write",
    ),
    "a decimal where a whole number belongs": (
        ("slot = 2", "slot = 2.0"),
        "a decimal number where",
        "party.coinm.slot",
        "whole number",
    ),
    "a number where a text belongs": (
        ('name = "search"', "name = 3"),
        "a whole number where text",
        "solver.name",
        "text in quotes",
    ),
    "a number where a table belongs": (
        (
            '[domain]\nname = "routing"\n[domain.goal]',
            '[domain]\nname = "routing"\ngoal = 3\n[scenario.x]',
        ),
        "unknown key 'x'",
        "scenario.x",
        "known",
    ),
    "a name with capitals": (
        ('name = "routing"', 'name = "Routing"'),
        "'Routing' is no name",
        "domain.name",
        "lower-case",
    ),
    "a date": (
        ('side = "buy"', "side = 2024-08-08"),
        "a date or time where",
        "domain.goal.side",
        "a text",
    ),
    "a nested table in a flat one": (
        ('side = "buy"', "side = { a = 1 }"),
        "a table where",
        "domain.goal.side",
        "a text",
    ),
    "infinity": (
        ("quantity = 100", "quantity = inf"),
        "not a finite number",
        "domain.goal.quantity",
        "decimal",
    ),
    "a number beyond the canonical profile": (
        ("quantity = 100", "quantity = 9007199254740992"),
        "beyond 2^53 - 1",
        "domain.goal.quantity",
        "text",
    ),
    "a negative slot": (
        ("slot = 2", "slot = -2"),
        "slot is negative",
        "party.coinm.slot",
        "from 0",
    ),
    "a negative deadline": (
        ("upload = 200", "upload = -1"),
        "upload is negative",
        "deadlines.upload",
        "from 1",
    ),
    "a negative budget": (
        ("exact_max = 5000, rho_max", "exact_max = -1, rho_max"),
        "exact_max is negative",
        "party.spot.budget.exact_max",
        "from 0",
    ),
    "no plans": (("plans = 100", "plans = 0"), "plans is outside", "order.0.plans", "from 1"),
    "an order that ends before it starts": (
        ("plans = 100", "plans = 100\nuntil = 5"),
        "ends before it starts",
        "order.0.until",
        "after start",
    ),
    "another mode": (
        ('mode = "standing"', 'mode = "standng"'),
        "not possible here",
        "order.0.mode",
        "'standing'",
    ),
    "another differencing rule": (
        ('"refuse"', '"ignore"'),
        "not possible here",
        "cohort.differencing",
        "possible: charge",
    ),
    "an override without a reason": (
        ('"refuse"', '"override"'),
        "overridden without a reason",
        "cohort.reason",
        "add reason",
    ),
    "a cohort larger than the parties": (
        ("least = 2", "least = 3"),
        "3 needed, 2 parties",
        "cohort.least",
        "2 or less",
    ),
    "more colluders than others": (
        ("least = 2", "least = 2\ncolluders = 2"),
        "colluders is outside 0 … 1",
        "cohort.colluders",
        "from 0 to 1",
    ),
    "more drops than the least cohort leaves": (
        ("least = 2", "least = 2\ndrops = 1"),
        "of 2 parties 1 may drop, and 2 are needed",
        "cohort.drops",
        "set drops to 0 or less, or lower least",
    ),
    "more changes than parties": (
        ("min_changed = 2", "min_changed = 4"),
        "no more than 2 parties can change",
        "cohort.min_changed",
        "set min_changed to 3 for every re-plan",
    ),
    "an empty seed of a demo": (
        ('seed = "s"', 'seed = ""'),
        "the seed is empty",
        "scenario.seed",
        "some text of its own",
    ),
    "an option that sets a party that is not there": (
        ('"order.1.goal.quantity"', '"party.usdm.config.fee_bps"'),
        "'party.usdm.config.fee_bps' leads nowhere",
        "options.quantity",
        "by name",
    ),
    "a choice of a party that is not there, though it is not chosen": (
        ("party.coinm.config.fee_bps =", "party.conm.config.fee_bps ="),
        "'party.conm.config.fee_bps' leads nowhere",
        "options.fees",
        "by name",
    ),
    "a party's name twice": (
        ('name = "coinm"', 'name = "spot"'),
        "two parties have name 'spot'",
        "party.spot.name",
        "its own",
    ),
    "a slot twice": (
        ("slot = 2", "slot = 0"),
        "two parties have slot 0",
        "party.coinm.slot",
        "its own",
    ),
    "a folder that is missing": (
        ('folder = "spot"', 'folder = "sopt"'),
        "folder does not exist",
        "party.spot.folder",
        "relative",
    ),
    "no mechanism": (
        ('mechanism = ["open"]', "mechanism = []"),
        "a list where",
        "privacy.mechanism",
        "at least one",
    ),
    "a mechanism twice": (
        ('["open"]', '["open", "open"]'),
        "a name stands twice",
        "privacy.mechanism",
        "once",
    ),
    "a key that no ledger could carry": (
        ('side = "buy"', '"Side!" = "buy"'),
        "is no plain name",
        "domain.goal.Side!",
        "lower-case",
    ),
    "an option that does nothing": (
        ('sets = ["solver.options.probes"]', ""),
        "either `sets` or `choices`",
        "options.probes",
        "one",
    ),
    "a default that is no choice": (
        ('default = "vip"', 'default = "vvip"'),
        "none of the choices",
        "options.fees.default",
        "'vip'",
    ),
    "an option's place that leads nowhere": (
        ('"party.spot.config', '"party.sopt.config'),
        "leads nowhere",
        "party.sopt",
        "by name",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_file_field_and_what_to_do(write: Write, case: str) -> None:
    replacement, what, field, advice = BAD[case]
    path = write(replacement)
    given_options = {"fees": "retail"} if "place" in case and "party.sopt" in field else {}
    with pytest.raises(BadInput) as caught:
        read_scenario(path, given_options)
    error = caught.value
    assert what in error.what
    assert error.field.startswith(field)
    assert advice in error.advice
    assert error.file == str(path)


def test_a_cohort_at_its_bounds_is_read(write: Write) -> None:
    bounds = "least = 1\ncolluders = 1\ndrops = 1"
    policy = read_scenario(
        write(("least = 2", bounds), ("min_changed = 2", "min_changed = 3"))
    ).policy
    assert (policy.colluders, policy.drops, policy.min_changed) == (1, 1, 3)
    kept = read_scenario(write(("demo = true", "demo = false"), ('seed = "s"', 'seed = ""')))
    assert kept.seed == "", "its identities are kept in files"


def test_a_party_without_allowance_is_refused_as_exhausted(write: Write) -> None:
    with pytest.raises(BudgetExhausted) as caught:
        read_scenario(write(("exact_max = 5000, rho_max = 0", "exact_max = 0, rho_max = 0")))
    assert (caught.value.field, caught.value.value) == ("party.spot.budget.exact_max", "0")


def test_a_file_that_is_missing_a_folder_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    (tmp_path / "huge.toml").write_bytes(b"#" * 1024 * 1024 + b"#")
    for name, what in {
        "none.toml": "No such file",
        ".": "Is a directory",
        "latin.toml": "not UTF-8 text: byte 8",
        "huge.toml": "larger than",
    }.items():
        with pytest.raises(BadInput, match=what):
            read_scenario(tmp_path / name)


def test_a_choice_writes_its_row(write: Write) -> None:
    coinm, spot = read_scenario(write(), {"fees": "retail"}).parties
    assert (spot.config["fee_bps"], coinm.config["fee_bps"]) == ("10", "5")


@pytest.mark.parametrize("chosen", [{}, {"fees": "retail"}, {"quantity": "25", "probes": "3"}])
def test_with_what_was_chosen_the_file_reads_the_same_again(
    write: Write, chosen: dict[str, str]
) -> None:
    path = write(("plans = 10\ngoal = {", "plans = 10\ngoal = { quantity = 7,"))
    scenario = read_scenario(path, chosen)
    assert scenario.chosen == chosen
    assert read_scenario(path, scenario.chosen) == scenario


def test_a_free_value_is_written_to_every_place_in_the_type_of_the_file(write: Write) -> None:
    scenario = read_scenario(write(), {"quantity": "25"})
    assert [order.goal["quantity"] for order in scenario.orders] == [25, 25]
    assert read_scenario(write(), {"quantity": "0.5"}).goal["quantity"] == "0.5"
    as_text = write(("quantity = 100", 'quantity = "100"'))
    assert read_scenario(as_text, {"quantity": "25"}).goal["quantity"] == "25"


def test_a_default_fills_only_where_the_file_is_silent(write: Write) -> None:
    edited = write(("probes = 255", "probes = 9"))
    assert read_scenario(edited).solver_options["probes"] == 9
    silent = write(("probes = 255\n", ""))
    assert read_scenario(silent).solver_options["probes"] == 255
    assert read_scenario(edited, {"probes": "3"}).solver_options["probes"] == 3


BAD_OPTIONS = {
    "an unknown option gets the nearest": ({"fee": "retail"}, "no option --fee", "--fees?"),
    "an unknown choice gets the nearest": ({"fees": "retial"}, "--fees cannot be", "'retail'"),
    "a word where a number stands": ({"quantity": "many"}, "takes a number", "a number"),
    "a number that the file could not hold": ({"probes": "inf"}, "not a finite", "decimal"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_a_bad_option_is_refused_in_words(write: Write, case: str) -> None:
    given_options, what, advice = BAD_OPTIONS[case]
    with pytest.raises(BadInput) as caught:
        read_scenario(write(), given_options)
    assert what in caught.value.what
    assert advice in caught.value.advice


@given(st.text(max_size=12))
def test_no_value_of_an_option_is_more_than_a_refusal(text: str) -> None:
    document: dict[str, Any] = tomllib.loads(TEXT, parse_float=DecimalText.from_literal)
    options = options_module.read_options(Table("f", "", document))
    try:
        options_module.apply_options("f", document, options, {"quantity": text, "probes": text})
    except BadInput:
        return
    number = document["domain"]["goal"]["quantity"]
    assert isinstance(number, int | str)


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9
    )
)
def test_a_decimal_literal_keeps_its_value_in_plain_text(number: Any) -> None:
    text = DecimalText.from_literal(f"{number:e}")
    assert text.is_plain
    assert type(number)(str(text)) == number


def test_options_can_be_listed_without_reading_the_rest(write: Write) -> None:
    listed = [option.describe() for option in scenario_options(write(('name = "search"', "")))]
    declared = {"--fees retail|vip", "--probes VALUE", "--quantity VALUE"}
    assert listed == sorted(declared | {"--privacy VALUE", "--solver VALUE"})


def test_any_scenario_runs_with_another_solver_and_another_mechanism(write: Write) -> None:
    chosen = read_scenario(write(), {"solver": "other", "privacy": "one+two"})
    assert (chosen.solver, chosen.privacy) == ("other", ("one", "two"))
    assert chosen.solver_options == {}, "the file's options are another solver's"
    same = read_scenario(write(), {"solver": "search"})
    assert same.solver_options == read_scenario(write()).solver_options


def test_the_shipped_scenario_reads_with_each_of_its_options(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "plugins/domain-routing/covenue_domain_routing/scenarios"
    shutil.copy(shipped / "btc-three-engines" / "scenario.toml", tmp_path)
    for folder in ("spot", "usdm", "coinm"):
        (tmp_path / folder).mkdir()
    path = tmp_path / "scenario.toml"
    scenario: ScenarioFile = read_scenario(path, {"fees": "retail", "quantity": "25"})
    assert [party.name for party in scenario.parties] == ["coinm", "spot", "usdm"]
    assert scenario.parties[1].config["fee_bps"] == "10"
    assert scenario.orders[0].goal["quantity"] == "25"
