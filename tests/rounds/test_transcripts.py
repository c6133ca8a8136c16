"""The transcript of a plan: what was asked and what came of it, and nothing else."""

from covenue.rounds.messages import transcript_digest
from covenue_contracts.shared import DualVariables, Query

ASKED = Query(
    kind="respond",
    after=None,
    multipliers=DualVariables(scale_bits=40, values=("1", "2")),
    points=("3",),
)


def test_a_transcript_depends_on_question_sum_and_what_came_before() -> None:
    first = transcript_digest("", ASKED, "AAAA")
    changed = {
        transcript_digest("", ASKED, "AAAB"),
        transcript_digest(first, ASKED, "AAAA"),
        transcript_digest("", ASKED.model_copy(update={"points": ("4",)}), "AAAA"),
        transcript_digest("", ASKED.model_copy(update={"kind": "curvature"}), "AAAA"),
        transcript_digest("", ASKED.model_copy(update={"multipliers": None}), "AAAA"),
    }
    assert first not in changed
    assert len(changed) == 5


def test_a_transcript_does_not_depend_on_the_name_of_the_query_before() -> None:
    """That name holds the plan's, which differs between a masked and an open run."""
    renamed = ASKED.model_copy(update={"after": "a" * 64})
    assert transcript_digest("", ASKED, "AAAA") == transcript_digest("", renamed, "AAAA")
