"""One root error: a frozen value with fields and advice, safe to show across the trust boundary.

An error carries ids, fields and both values, never private data.
"""

from dataclasses import dataclass, fields, replace
from typing import TypeVar


@dataclass(eq=False)
class CovenueError(Exception):
    """What happened, and what to do about it; `str` is derived from the fields.

    Fields are set once; Python itself may still attach traceback, cause and notes.
    """

    what: str
    advice: str

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse to change a field that is set."""
        if not name.startswith("__") and name in self.__dict__:
            message = f"{type(self).__name__}.{name} is set once"
            raise AttributeError(message)
        super().__setattr__(name, value)

    def __str__(self) -> str:
        """Name, what happened, and the advice on a line of its own."""
        return f"{type(self).__name__}: {self.what}\n  try: {self.advice}"

    def diagnostics(self) -> dict[str, str]:
        """The error as text fields, for --json."""
        named = {f.name: str(getattr(self, f.name)) for f in fields(self)}
        return {"error": type(self).__name__, **named}


@dataclass(eq=False)
class BadInput(CovenueError):
    """Input that a person can correct: where it stands, which field, which value."""

    file: str = ""
    field: str = ""
    value: str = ""

    def __str__(self) -> str:
        """What happened, where, and the advice."""
        place = "".join(
            f"\n  {label}: {text}"
            for label, text in (("file", self.file), ("field", self.field), ("value", self.value))
            if text
        )
        return f"{type(self).__name__}: {self.what}{place}\n  try: {self.advice}"


class PluginUnknown(BadInput):
    """No installed plugin provides that name."""


class PluginBroken(CovenueError):
    """An installed plugin cannot be used: its manifest, its import or its registration fails."""


class CapabilityMissing(BadInput):
    """A solver needs what a local problem does not offer."""


class ContractMismatch(BadInput):
    """A plugin speaks a version of a contract that this host does not."""


class LayoutMismatch(CovenueError):
    """Arrays of words differ in length where they must not."""


class HeadroomMissing(BadInput):
    """The sum of bounds could wrap the ring of 64-bit words."""


class BudgetExhausted(BadInput):
    """A privacy budget does not allow the next charge."""


@dataclass(eq=False)
class LedgerDamaged(CovenueError):
    """A ledger does not verify; `place` names the entry, leaf, index or checkpoint."""

    place: str = ""

    def __str__(self) -> str:
        """What happened, where in the ledger, and the advice."""
        place = f"\n  place: {self.place}" if self.place else ""
        return f"{type(self).__name__}: {self.what}{place}\n  try: {self.advice}"


class LedgerUnavailable(BadInput):
    """A ledger cannot be used now: another process holds it, or its disk refuses to write."""


class EntryTooLarge(BadInput):
    """An entry exceeds 65,535 bytes; its bulk belongs into a blob."""


class IdentityRefused(BadInput):
    """A did:key, a key file, a roster or a signature is not acceptable."""


class EnvelopeRefused(BadInput):
    """An envelope is malformed, not canonical or not signed by its sender."""


class ForeignLedger(BadInput):
    """A ledger was written by another key."""


class LedgerBusy(BadInput):
    """Another process is running this ledger."""


class OutputExists(BadInput):
    """The output is already there; nothing was written."""


class CaptureDamaged(BadInput):
    """A recorded capture is truncated, gapped or of another dialect."""


@dataclass(eq=False)
class ReplayDiffers(CovenueError):
    """A recomputed value differs from the recorded one: the entry, the field, and both values."""

    entry: int = -1
    pointer: str = ""
    recorded: str = ""
    recomputed: str = ""

    def __str__(self) -> str:
        """What differs, where, and both values."""
        return (
            f"{type(self).__name__}: {self.what}\n  entry: {self.entry}\n  at: {self.pointer}"
            f"\n  recorded: {self.recorded}\n  recomputed: {self.recomputed}\n  try: {self.advice}"
        )


class StateStale(CovenueError):
    """A venue's state is not usable at the time asked for."""


E = TypeVar("E", bound=BadInput)


def replaced(error: E, **places: str) -> E:
    """The same error with its place filled in by a caller that knows it."""
    return replace(error, **places)
