"""An array inside a frozen state: read-only, and equal where its bytes are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """A read-only array that compares by type, shape and bytes, so that states do."""

    array: NDArray[Any]

    def __post_init__(self) -> None:
        """Nobody may write into a state."""
        self.array.flags.writeable = False

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same bytes."""
        if self is other or not isinstance(other, Held):
            return self is other
        left, right = self.array, other.array
        alike = left.dtype == right.dtype and left.shape == right.shape
        return alike and left.tobytes() == right.tobytes()

    def __hash__(self) -> int:
        """That of the bytes."""
        return hash((self.array.dtype.str, self.array.shape, self.array.tobytes()))
