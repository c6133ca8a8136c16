import re
from collections.abc import Iterator

from tests.tidy.tree import ROOT, files, name, python

MARKETS_AND_COMPILERS = re.compile(
    r"""\b(prices?|books|order[ -]?books?|bids?|btc\w*|eth|usd\w*|binance|exchange
    |exchanges(?!\ when)|tickers?|trades?|traders?|trading|markets?|brokers?|slippage
    |llvm|gcc|clang|cranelift|compilers?)\b""",
    re.IGNORECASE | re.VERBOSE,
)
ALLOWED_IN = ("core/covenue/hooks/venues.py", "core/covenue/testing/")

MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|root|home/\w+|Users/\w+|opt|mnt)/\w")
HOSTS = re.compile("|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "index" + "-url")))
BINARY = {".gz", ".png", ".sqlite", ".zst"}


def texts() -> Iterator[tuple[str, str]]:
    for path in files():
        if path.suffix not in BINARY:
            yield name(path), path.read_text(encoding="utf-8")


def found(rule: re.Pattern[str]) -> list[str]:
    return [
        f"{place}:{text.count(chr(10), 0, hit.start()) + 1}: {hit.group()}"
        for place, text in texts()
        for hit in rule.finditer(text)
    ]


def test_the_kernel_names_neither_markets_nor_compilers() -> None:
    named = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in python("core")
        if not name(path).startswith(ALLOWED_IN)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MARKETS_AND_COMPILERS.search(line)
    ]
    assert named == []


def test_the_word_rule_sees_a_market_and_leaves_order_and_ask_alone() -> None:
    assert MARKETS_AND_COMPILERS.search("the best price of the order book")
    assert not MARKETS_AND_COMPILERS.search(
        "solver.ask(state) for order/v1; exchanges when joining"
    )


def test_no_tracked_file_names_a_path_of_some_machine() -> None:
    assert found(MACHINE_PATHS) == []


def test_no_tracked_file_names_a_registry_host() -> None:
    assert found(HOSTS) == []


def test_the_path_rule_sees_a_home_folder() -> None:
    assert MACHINE_PATHS.search("read " + "/home" + "/someone/x")
    assert not MACHINE_PATHS.search("/".join(("https://example.test", "root", "x")))


def test_agents_md_stays_on_one_screen() -> None:
    assert len((ROOT / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 80
