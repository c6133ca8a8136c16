"""What pinned self-tests are fed with."""

from itertools import islice

from covenue.numerics.fixed_draws import fixed_draws


def test_draws_are_the_congruence_and_never_change() -> None:
    state, expected = 1, []
    for _ in range(5):
        state = (state * 0x5851F42D4C957F2D + 0x14057B7EF767814F) & (2**64 - 1)
        expected.append(state // 2**48)
    assert list(islice(fixed_draws(1), 5)) == expected
    assert max(islice(fixed_draws(7), 1000)) < 2**16
