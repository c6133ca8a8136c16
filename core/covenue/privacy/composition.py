"""A mechanism: optional noise, then exactly one aggregation stage, composed by the kernel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from covenue.errors import BadInput
from covenue.hooks.privacy import Noise, PrivacyStage
from covenue.numerics.words import Words, clip
from covenue_contracts.privacy import Charge
from covenue_contracts.shared import Query, Space


@dataclass(frozen=True)
class Mechanism:
    """What protects a plan's words; `name` goes into every round context."""

    name: str
    noise: Noise | None
    stage: PrivacyStage

    def cost(self, query: Query, space: Space) -> Charge:
        """What one round costs: the noise's charge where there is noise."""
        source = self.noise if self.noise is not None else self.stage
        return source.cost(query, space)

    def protect(self, words: Words, space: Space, seed: bytes) -> Words:
        """Clip to the space's bound, then add noise; never the other way round."""
        clipped = clip(words, int(space.bound))
        return clipped if self.noise is None else self.noise.draw(clipped, seed)


def compose(names: Sequence[str], parts: Sequence[Noise | PrivacyStage]) -> Mechanism:
    """Compose mechanisms in order. Raises BadInput unless they are [noise,] stage."""
    noises = [part for part in parts if hasattr(part, "draw")]
    stages = [part for part in parts if hasattr(part, "advance")]
    if len(stages) != 1 or len(noises) > 1 or len(noises) + len(stages) != len(parts):
        raise BadInput(
            "a mechanism is at most one noise followed by exactly one aggregation stage",
            'write for example mechanism = ["open"]',
            field="privacy.mechanism",
            value=", ".join(names),
        )
    if noises and parts[0] is not noises[0]:
        raise BadInput(
            "noise comes before the aggregation stage",
            "name the noise first",
            field="privacy.mechanism",
            value=", ".join(names),
        )
    noise = cast("Noise", noises[0]) if noises else None
    return Mechanism("+".join(names), noise, cast("PrivacyStage", stages[0]))
