import itertools
import math
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import BadInput, LayoutMismatch
from covenue.hooks.domains import Plot
from covenue.reports.figures import decimal_text, is_decimal, tick_texts, ticks
from covenue.reports.markup import xml_text
from covenue.reports.plot import draw

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</svg><script>alert(1)</script>&amp;\x00\x0b\ud800 \u202e\" onload='x'"
plain_numbers = st.floats(min_value=-1e15, max_value=1e15, allow_nan=False)


def plot(kind: str = "line", **series: tuple[float, ...]) -> Plot:
    size = max((len(values) for values in series.values()), default=0)
    return Plot("cost", kind, "second", "USD", tuple(float(i) for i in range(size)), series)


def parsed(drawn: Plot) -> ET.Element:
    return ET.fromstring(xml_text(draw(drawn)))  # noqa: S314 -- the text is our own


@given(
    kind=st.sampled_from(["line", "area", "bar"]),
    title=st.text(),
    names=st.lists(st.text(), min_size=1, max_size=10, unique=True),
    data=st.data(),
)
def test_any_plot_is_well_formed_and_stays_inside_its_box(
    kind: str, title: str, names: list[str], data: st.DataObject
) -> None:
    xs = data.draw(st.lists(plain_numbers, max_size=5, unique=True).map(sorted))
    parts = st.floats(min_value=0, max_value=1e12) if kind == "area" else plain_numbers
    values = st.lists(parts | st.just(math.nan), min_size=len(xs), max_size=len(xs)).map(tuple)
    series = {name: data.draw(values) for name in names}
    root = parsed(Plot(title, kind, title, title, tuple(xs), series))
    for box in root.iter(f"{SVG}rect"):
        assert float(box.attrib["width"]) >= 0
        assert float(box.attrib["height"]) >= 0
    for mark in root.iter():
        assert "nan" not in " ".join(mark.attrib.get(key, "") for key in ("d", "x", "y"))


def test_hostile_names_stay_text() -> None:
    root = parsed(Plot(HOSTILE, "area", HOSTILE, HOSTILE, (0.0, 1.0), {HOSTILE: (1.0, 2.0)}))
    assert not list(root.iter(f"{SVG}script"))
    assert all(not key.startswith("on") for node in root.iter() for key in node.attrib)


def test_equal_plots_give_equal_bytes() -> None:
    first, second = plot(a=(1.0, 3.0), b=(2.0, 1.0)), plot(a=(1.0, 3.0), b=(2.0, 1.0))
    assert xml_text(draw(first)) == xml_text(draw(second))


def test_stacked_areas_add_up() -> None:
    paths = [
        node.attrib["d"]
        for node in parsed(plot("area", a=(1.0, 1.0), b=(2.0, 2.0))).iter(f"{SVG}path")
    ]
    top_of_a = paths[0].removeprefix("M").split("L")[:2]
    bottom_of_b = paths[1].removesuffix("Z").split("L")[-2:]
    assert sorted(top_of_a) == sorted(bottom_of_b)


def test_a_gap_breaks_the_line() -> None:
    paths = list(parsed(plot(a=(1.0, 2.0, math.nan, 3.0, 4.0))).iter(f"{SVG}path"))
    assert len(paths) == 2


def test_a_single_point_is_a_dot() -> None:
    assert len(list(parsed(plot(a=(5.0,))).iter(f"{SVG}circle"))) == 1


@pytest.mark.parametrize("values", [(), (math.nan, math.nan)])
def test_a_plot_without_values_says_so(values: tuple[float, ...]) -> None:
    assert "No data to plot." in xml_text(draw(plot(a=values)))


def test_a_column_tells_its_values_on_hover() -> None:
    told = [node.text or "" for node in parsed(plot("bar", a=(1.5,), b=(2.0,))).iter(f"{SVG}title")]
    assert "second 0\na: 1.5\nb: 2" in told


REFUSED: dict[str, tuple[Plot, type[Exception]]] = {
    "an unknown kind": (plot("pie", a=(1.0,)), BadInput),
    "an infinite value": (plot(a=(math.inf,)), BadInput),
    "a negative part of an area": (plot("area", a=(-1.0,)), BadInput),
    "x that falls": (Plot("t", "line", "x", "y", (1.0, 0.0), {"a": (1.0, 2.0)}), BadInput),
    "x that repeats": (Plot("t", "line", "x", "y", (1.0, 1.0), {"a": (1.0, 2.0)}), BadInput),
    "x that is no number": (Plot("t", "line", "x", "y", (math.nan,), {"a": (1.0,)}), BadInput),
    "a short series": (plot(a=(1.0, 2.0), b=(1.0,)), LayoutMismatch),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_plot_that_cannot_be_drawn_is_refused(case: str) -> None:
    refused, error = REFUSED[case]
    with pytest.raises(error):
        draw(refused)


@given(low=plain_numbers, high=plain_numbers)
def test_ticks_enclose_the_range_evenly(low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    marks = ticks(low, high)
    assert float(marks[0]) <= low
    assert high <= float(marks[-1])
    assert len({right - left for left, right in itertools.pairwise(marks)}) == 1
    assert len(marks) <= 12
    assert all(len(text) <= 16 for text in tick_texts(marks))


@given(low=st.integers(-(10**6), 10**6), span=st.integers(1, 10**6))
def test_tick_labels_differ(low: int, span: int) -> None:
    texts = tick_texts(ticks(low / 1000, (low + span) / 1000))
    assert len(set(texts)) == len(texts)


def test_ticks_are_round_numbers() -> None:
    assert tick_texts(ticks(6_112_340.0, 6_118_120.0)) == (
        "6,112,000",
        "6,114,000",
        "6,116,000",
        "6,118,000",
        "6,120,000",
    )
    assert tick_texts(ticks(0.0, 0.21)) == ("0.00", "0.05", "0.10", "0.15", "0.20", "0.25")


@given(plain_numbers)
def test_decimal_text_reads_back_exactly(value: float) -> None:
    text = decimal_text(value)
    assert is_decimal(text)
    assert float(text) == value
