"""Plots as inline SVG: lines, stacked areas, stacked bars; no script, no font, no style inside.

Colours are classes (`s0` … `s7`), so the page chooses them for light and dark. Hovering a column
shows all its values. Coordinates are pixels of the view box, written with two decimals.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from covenue.errors import BadInput, LayoutMismatch
from covenue.hooks.domains import Plot
from covenue.reports.figures import decimal_text, grouped, tick_texts, ticks
from covenue.reports.markup import Node, element

WIDTH, HEIGHT = 760.0, 330.0
RIGHT, BOTTOM = 18.0, 46.0
GLYPH = 6.6
LEGEND_ROW = 22.0
NAME_LONGEST = 48
COLOURS = 8
NOTHING = "No data to plot."


@dataclass(frozen=True)
class Axis:
    """One axis: its ticks, their labels, and where a value lies in pixels."""

    marks: tuple[Decimal, ...]
    texts: tuple[str, ...]
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True)
class Frame:
    """The two axes and the half width of a column, in pixels."""

    x: Axis
    y: Axis
    half: float


def draw(plot: Plot) -> Node:
    """One plot as an `svg` element.

    A NaN is a gap. Raises LayoutMismatch when a series is not as long as x, and BadInput on an
    unknown kind, an infinite value, x that does not rise, or a negative part of a stacked area.
    """
    check(plot)
    parts: list[Node] = [element("title", None, plot.title)]
    if any(_finite(values) for values in plot.series.values()):
        frame = _frame(plot)
        parts += [_grid(plot, frame), DRAWN[plot.kind](plot, frame), _hover(plot, frame)]
        parts.append(_legend(plot, frame.x.start))
    else:
        middle = {"x": _px(WIDTH / 2), "y": _px(HEIGHT / 2), "class": "middle"}
        parts.append(element("text", middle, NOTHING))
    view = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        "role": "img",
        "aria-label": f"{plot.title}: {plot.y_label} over {plot.x_label}",
    }
    return element("svg", view, *parts)


def check(plot: Plot) -> None:
    """Raise unless the plot can be drawn as it says; see `draw`."""
    if plot.kind not in DRAWN:
        known = ", ".join(DRAWN)
        raise _refused(plot, f"kind {plot.kind!r} is unknown", f"use one of {known}", "kind")
    if any(right <= left for left, right in zip(plot.x, plot.x[1:], strict=False)) or any(
        not math.isfinite(value) for value in plot.x
    ):
        raise _refused(plot, "x does not rise", "sort the points by x, one point an x", "x")
    for name, values in plot.series.items():
        if len(values) != len(plot.x):
            raise LayoutMismatch(
                f"plot {plot.title!r}: series {name!r} has {len(values)} points, "
                f"x has {len(plot.x)}",
                "give every series one value an x; NaN is a gap",
            )
        if any(math.isinf(value) for value in values):
            raise _refused(plot, "a value is infinite", "use NaN for a gap", name)
        if plot.kind == "area" and any(value < 0 for value in values):
            raise _refused(plot, "a part of a stack is negative", "use kind `line`", name)


def _refused(plot: Plot, why: str, advice: str, field: str) -> BadInput:
    return BadInput(f"plot {plot.title!r}: {why}", advice, field=field)


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _stacks(plot: Plot) -> dict[str, tuple[tuple[float, float], ...]]:
    """(from, to) of every part: positive parts grow up, negative ones down, gaps are empty."""
    above, below = [0.0] * len(plot.x), [0.0] * len(plot.x)
    stacked: dict[str, tuple[tuple[float, float], ...]] = {}
    for name, values in plot.series.items():
        pairs = []
        for index, value in enumerate(values):
            grown = 0.0 if math.isnan(value) else value
            side = below if grown < 0 else above
            pairs.append((side[index], side[index] + grown))
            side[index] += grown
        stacked[name] = tuple(pairs)
    return stacked


def _frame(plot: Plot) -> Frame:
    y_marks = ticks(*_reach(plot))
    texts = tick_texts(y_marks)
    left = 30.0 + GLYPH * max(len(text) for text in texts)
    top = LEGEND_ROW * (_key_places(plot, left)[-1][1] + 1) + 12
    y = Axis(y_marks, texts, float(y_marks[0]), float(y_marks[-1]), HEIGHT - BOTTOM, top)
    gap = min((b - a for a, b in zip(plot.x, plot.x[1:], strict=False)), default=1.0)
    room = gap / 2 if plot.kind == "bar" or len(plot.x) == 1 else 0.0
    low, high = plot.x[0] - room, plot.x[-1] + room
    inside = tuple(mark for mark in ticks(low, high, 8) if low <= mark <= high)
    x_texts = tick_texts(inside) if len(inside) > 1 else tuple(str(mark) for mark in inside)
    x = Axis(inside, x_texts, low, high, left, WIDTH - RIGHT)
    return Frame(x, y, gap / (high - low) * (x.end - x.start) / 2)


def _reach(plot: Plot) -> tuple[float, float]:
    if plot.kind == "line":
        values = [value for series in plot.series.values() for value in _finite(series)]
        return min(values), max(values)
    ends = [pair[1] for pairs in _stacks(plot).values() for pair in pairs]
    low, high = min(0.0, *ends), max(0.0, *ends)
    return (low, high) if low < high else (0.0, 1.0)


def _grid(plot: Plot, frame: Frame) -> Node:
    parts: list[Node] = []
    for mark, text in zip(frame.y.marks, frame.y.texts, strict=True):
        height = frame.y.at(float(mark))
        kind = "zero" if mark == 0 else "rule"
        parts.append(_line(frame.x.start, height, frame.x.end, height, kind))
        parts.append(_text(frame.x.start - 8, height + 4, text, "end"))
    for mark, text in zip(frame.x.marks, frame.x.texts, strict=True):
        place = frame.x.at(float(mark))
        parts.append(_line(place, frame.y.start, place, frame.y.start + 5, "tick"))
        parts.append(_text(place, frame.y.start + 19, text, "middle"))
    middle = (frame.x.start + frame.x.end) / 2
    parts.append(_text(middle, HEIGHT - 8, plot.x_label, "middle label"))
    upright = _text(0, 0, plot.y_label, "middle label")
    half = (frame.y.start + frame.y.end) / 2
    upright.set("transform", f"translate(13 {_px(half)}) rotate(-90)")
    return element("g", {"class": "grid"}, *parts, upright)


def _lines(plot: Plot, frame: Frame) -> Node:
    parts: list[Node] = []
    for number, values in enumerate(plot.series.values()):
        for run in _runs(values):
            points = [(frame.x.at(plot.x[i]), frame.y.at(values[i])) for i in run]
            if len(points) == 1:
                (x, y), kind = points[0], f"f{_colour(number)}"
                spot = {"cx": _px(x), "cy": _px(y), "r": "3", "class": kind}
                parts.append(element("circle", spot))
            else:
                route = "M" + "L".join(f"{_px(x)} {_px(y)}" for x, y in points)
                parts.append(element("path", {"d": route, "class": _stroke(number)}))
    return element("g", None, *parts)


def _runs(values: Sequence[float]) -> list[list[int]]:
    """Indexes of neighbouring values without a gap between them."""
    runs: list[list[int]] = [[]]
    for index, value in enumerate(values):
        if math.isnan(value):
            runs.append([])
        else:
            runs[-1].append(index)
    return [run for run in runs if run]


def _areas(plot: Plot, frame: Frame) -> Node:
    if len(plot.x) == 1:
        return _bars(plot, frame)
    parts: list[Node] = []
    for number, pairs in enumerate(_stacks(plot).values()):
        places = [frame.x.at(value) for value in plot.x]
        upper = [(x, frame.y.at(end)) for x, (_, end) in zip(places, pairs, strict=True)]
        lower = [(x, frame.y.at(start)) for x, (start, _) in zip(places, pairs, strict=True)]
        route = "L".join(f"{_px(x)} {_px(y)}" for x, y in [*upper, *reversed(lower)])
        look = {"d": f"M{route}Z", "class": f"area f{_colour(number)}"}
        parts.append(element("path", look))
    return element("g", None, *parts)


def _bars(plot: Plot, frame: Frame) -> Node:
    half = max(0.5, frame.half * (0.84 if frame.half > 2 else 1.0))
    parts: list[Node] = []
    for number, pairs in enumerate(_stacks(plot).values()):
        for place, (start, end) in zip(plot.x, pairs, strict=True):
            if start == end:
                continue
            top, bottom = sorted((frame.y.at(start), frame.y.at(end)))
            box = {
                "x": _px(frame.x.at(place) - half),
                "y": _px(top),
                "width": _px(2 * half),
                "height": _px(bottom - top),
                "class": f"f{_colour(number)}",
            }
            parts.append(element("rect", box))
    return element("g", None, *parts)


def _hover(plot: Plot, frame: Frame) -> Node:
    """One invisible column a point; its title lists what stands there."""
    parts: list[Node] = []
    for index, place in enumerate(plot.x):
        middle = frame.x.at(place)
        left, right = max(frame.x.start, middle - frame.half), middle + frame.half
        said = [f"{plot.x_label} {grouped(decimal_text(place))}"]
        said += [
            f"{name}: {grouped(decimal_text(values[index]))}"
            for name, values in plot.series.items()
            if not math.isnan(values[index])
        ]
        box = {
            "x": _px(left),
            "y": _px(frame.y.end),
            "width": _px(min(frame.x.end, right) - left),
            "height": _px(frame.y.start - frame.y.end),
            "class": "column",
        }
        parts.append(element("rect", box, element("title", None, "\n".join(said))))
    return element("g", None, *parts)


def _key_places(plot: Plot, left: float) -> list[tuple[float, int]]:
    """(x, row) of every name in the legend; a name that does not fit begins the next row."""
    places: list[tuple[float, int]] = []
    x, row = left, 0
    for name in plot.series:
        wide = 46 + GLYPH * min(len(name), NAME_LONGEST)
        if x > left and x + wide > WIDTH:
            x, row = left, row + 1
        places.append((x, row))
        x += wide
    return places


def _legend(plot: Plot, left: float) -> Node:
    parts: list[Node] = []
    places = _key_places(plot, left)
    for number, (name, (x, row)) in enumerate(zip(plot.series, places, strict=True)):
        y = 14 + LEGEND_ROW * row
        if plot.kind == "line":
            parts.append(_line(x, y, x + 18, y, _stroke(number)))
        else:
            key = {"x": _px(x), "y": _px(y - 6), "width": "18", "height": "12", "rx": "2"}
            parts.append(element("rect", {**key, "class": f"f{_colour(number)}"}))
        fits = name if len(name) <= NAME_LONGEST else name[: NAME_LONGEST - 1] + "…"
        parts.append(_text(x + 24, y + 4, fits, "name"))
    return element("g", {"class": "legend"}, *parts)


def _colour(number: int) -> str:
    return str(number % COLOURS)


def _stroke(number: int) -> str:
    """Solid, then dashed, then dotted: neighbours differ in more than colour."""
    return f"line s{_colour(number)} d{number % 3}"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Node:
    ends = {"x1": _px(x1), "y1": _px(y1), "x2": _px(x2), "y2": _px(y2)}
    return element("line", {**ends, "class": kind})


def _text(x: float, y: float, text: str, kind: str) -> Node:
    return element("text", {"x": _px(x), "y": _px(y), "class": kind}, text)


def _px(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


DRAWN: dict[str, Callable[[Plot, Frame], Node]] = {"line": _lines, "area": _areas, "bar": _bars}
