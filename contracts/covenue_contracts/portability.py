"""The subset of JSON Schema in which every validator gives the same answer.

Source: plugins.md, section 4. Rule ids are stable.
"""

from dataclasses import dataclass

from covenue_contracts.contract import SAFE_INTEGER
from covenue_contracts.subschemas import Schema, walk

_FOREIGN_ESCAPES = frozenset("dDwWsSbBpPuxckKAzZ")
_KEYWORDS_OUTSIDE = ("$dynamicRef", "$dynamicAnchor", "$vocabulary", "default", "format")
_INTEGER_BOUNDS = ("minimum", "maximum")


@dataclass(frozen=True)
class Unportable:
    """One place where validators could differ: the rule's id, the place in the schema, why."""

    rule: str
    where: str
    why: str

    def __str__(self) -> str:
        """Rule, place and reason on one line."""
        return f"{self.rule} {self.where or '/'}: {self.why}"


def unportable(schema: Schema) -> tuple[Unportable, ...]:
    """Every place of a schema that leaves the portable subset, in document order."""
    found = [] if "$id" in schema else [Unportable("P1-id", "", "the schema has no $id")]
    for where, part in walk(schema):
        found.extend(_outside(where, part))
    return tuple(found)


def _outside(where: str, part: Schema) -> list[Unportable]:
    found = [
        Unportable("P6-keyword", where, f"{keyword} is outside the subset")
        for keyword in _KEYWORDS_OUTSIDE
        if keyword in part
    ]
    kind = part.get("type")
    if kind == "object" and part.get("additionalProperties") is not False:
        found.append(Unportable("P2-closed", where, "the object is open"))
    if kind == "number":
        found.append(Unportable("P4-number", where, "the profile has no floats"))
    if kind == "integer" and "const" not in part and "enum" not in part:
        found.extend(_unsafe_bounds(where, part))
    patterns = [part["pattern"]] if "pattern" in part else []
    for pattern in (*patterns, *part.get("patternProperties", {})):
        if why := pattern_fault(pattern):
            found.append(Unportable("P3-pattern", where, f"{pattern!r} {why}"))
    return found


def _unsafe_bounds(where: str, part: Schema) -> list[Unportable]:
    return [
        Unportable("P5-integer", where, f"{bound} is not within 2^53 - 1")
        for bound in _INTEGER_BOUNDS
        if abs(part.get(bound, SAFE_INTEGER + 1)) > SAFE_INTEGER
    ]


def pattern_fault(pattern: str) -> str:
    """Why engines could disagree on a pattern, or "" when they agree.

    Portable: anchored at both ends as a whole, no lookaround, no engine-dependent classes.
    """
    if not (pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith("\\$")):
        return "is not anchored at both ends"
    depth, in_class, index = 0, False, 1
    while index < len(pattern) - 1:
        char = pattern[index]
        if char == "\\":
            if pattern[index + 1] in _FOREIGN_ESCAPES:
                return f"uses the escape \\{pattern[index + 1]}, which engines read differently"
            index += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            depth += 1
            if pattern[index + 1] == "?":
                return "uses a group extension or lookaround"
        elif char == ")":
            depth -= 1
        elif char == "|" and depth == 0:
            return "has an alternative that its anchors do not hold"
        elif char in "^$":
            return "has an anchor inside"
        index += 1
    return ""
