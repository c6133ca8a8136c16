"""The accountant: no interleaving over-spends, rounding goes up, and what epsilon is printed."""

from dataclasses import replace
from fractions import Fraction
from math import ceil, erfc, exp, floor, inf, log, sqrt

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from covenue.errors import BudgetExhausted
from covenue.privacy.accountant import RHO_UNITS, Account, exact, zcdp
from covenue_contracts.privacy import Charge, PrivacyBudget

POSITIVE = st.fractions(min_value=Fraction(1, 10**9), max_value=10**9, max_denominator=10**9)
HUGE = 2**53


def budget(rho_max: int = 0, exact_max: int = 0) -> PrivacyBudget:
    return PrivacyBudget(
        signal="depth",
        rho_max=str(rho_max),
        exact_max=str(exact_max),
        delta_exponent=6,
        adjacency="replace-one-venue",
    )


def units(charge: Charge) -> int:
    return int(charge.amount)


# ---- charges


@given(POSITIVE, POSITIVE)
def test_a_charge_is_the_exact_rho_rounded_up(sensitivity: Fraction, sigma: Fraction) -> None:
    true = Fraction(RHO_UNITS) * sensitivity / (2 * sigma)
    charge = zcdp(sensitivity, sigma)
    assert charge.kind == "zcdp"
    assert true <= units(charge) < true + 1


def test_the_smallest_charge_is_one_unit() -> None:
    assert zcdp(1, 2**60).amount == "1"
    assert zcdp(1, 2**39).amount == "1"
    assert zcdp(1, Fraction(2**39) - Fraction(1, 2**80)).amount == "2", "beyond any float"
    assert zcdp(0, 1).amount == "0", "what does not change with a venue tells nothing of it"


@pytest.mark.parametrize(
    ("sensitivity", "sigma"), [(1, 0), (1, -1), (2**128, 1), (1, Fraction(1, 10**40))]
)
def test_noise_that_no_budget_can_carry_is_refused(sensitivity: int, sigma: Fraction) -> None:
    with pytest.raises(BudgetExhausted) as refused:
        zcdp(sensitivity, sigma)
    assert refused.value.advice


def test_a_noiseless_sum_is_charged_as_itself() -> None:
    assert exact() == Charge(kind="exact", amount="1")
    assert exact(7) == Charge(kind="exact", amount="7")


# ---- the filter


class Ledger(RuleBasedStateMachine):
    """Rounds that are reserved, committed, lost in a crash or proven void, in any order.

    The reference keeps fractions: what truly left, without units and rounding.
    """

    account_type: type[Account] = Account
    charge_of = staticmethod(zcdp)

    @initialize(rho_max=st.sampled_from([0, 2, 1000, HUGE, 2**80]), exact_max=st.integers(0, 6))
    def open(self, rho_max: int, exact_max: int) -> None:
        self.account = self.account_type(budget(rho_max, exact_max))
        self.rho_max = Fraction(rho_max, RHO_UNITS)
        self.exact_max = exact_max
        self.left: list[tuple[Charge, Fraction]] = []
        self.sums: list[Charge] = []

    @rule(
        noise=st.sampled_from(
            [
                (1, Fraction(2**39)),
                (HUGE, Fraction(2**39)),
                (1, Fraction(2**45)),
                (1, Fraction(2**40, 3)),
                (3, Fraction(2**41, 3)),
                (0, Fraction(1)),
            ]
        ),
        crash=st.booleans(),
    )
    def ask_noised(self, noise: tuple[int, Fraction], crash: bool) -> None:
        sensitivity, sigma = noise
        charge = self.charge_of(sensitivity, sigma)
        true = Fraction(sensitivity) / (2 * Fraction(sigma))
        fits = self.account.allows(charge)
        assert fits is (units(charge) + self.spent() <= self.rho_max * RHO_UNITS)
        self.spend(charge, fits=fits, crash=crash)
        if fits and not crash:
            self.left.append((charge, true))

    @rule(count=st.integers(1, 3), crash=st.booleans())
    def ask_exact(self, count: int, crash: bool) -> None:
        charge = exact(count)
        fits = self.account.allows(charge)
        assert fits is (sum(map(units, self.sums)) + count <= self.exact_max)
        self.spend(charge, fits=fits, crash=crash)
        if fits and not crash:
            self.sums.append(charge)

    def spend(self, charge: Charge, *, fits: bool, crash: bool) -> None:
        """A reservation that is not committed when the process dies has spent nothing."""
        if not fits:
            with pytest.raises(BudgetExhausted):
                self.account.spend(charge)
            return
        reserved = self.account.spend(charge)
        self.account = self.account if crash else reserved

    @precondition(lambda self: self.left or self.sums)
    @rule(data=st.data())
    def prove_abort(self, data: st.DataObject) -> None:
        which = data.draw(
            st.sampled_from([name for name in ("left", "sums") if getattr(self, name)])
        )
        kept = getattr(self, which)
        back = kept.pop(data.draw(st.integers(0, len(kept) - 1)))
        self.account = self.account.refund(back[0] if which == "left" else back)

    @rule(noised=st.booleans())
    def claim_more_than_was_spent(self, noised: bool) -> None:
        spent = Charge(kind="zcdp", amount=str(self.spent() + 1))
        charge = spent if noised else exact(sum(map(units, self.sums)) + 1)
        try:
            self.account = self.account.refund(charge)
        except AssertionError:
            return
        raise RuntimeError("a refund of more than was spent was taken")

    def spent(self) -> int:
        return sum(units(charge) for charge, _ in self.left)

    @invariant()
    def nothing_is_overspent(self) -> None:
        if not hasattr(self, "account"):
            return
        assert sum((true for _, true in self.left), Fraction(0)) <= self.rho_max
        assert sum(map(units, self.sums)) <= self.exact_max

    @invariant()
    def the_books_agree(self) -> None:
        if hasattr(self, "account"):
            assert (self.account.rho, self.account.sums) == (
                self.spent(),
                sum(map(units, self.sums)),
            )


Ledger.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLedger = Ledger.TestCase


class FloatAccount(Account):
    """A mutant that adds up in floating point: beyond 2^53 a unit more is no more."""

    def allows(self, *charges: Charge) -> bool:
        rho = float(self.rho) + sum(float(c.amount) for c in charges if c.kind == "zcdp")
        sums = self.sums + sum(int(c.amount) for c in charges if c.kind == "exact")
        return rho <= float(self.budget.rho_max) and sums <= int(self.budget.exact_max)


class TrustingAccount(Account):
    """A mutant that takes any refund."""

    def refund(self, charge: Charge) -> Account:
        return self._moved(charge, -1)


def rounded_down(sensitivity: Fraction | int, sigma: Fraction | int) -> Charge:
    """A mutant charge: many small ones are free."""
    true = Fraction(RHO_UNITS // 2) * sensitivity / Fraction(sigma)
    return Charge(kind="zcdp", amount=str(floor(true)))


def machine(**changes: object) -> type[Ledger]:
    return type("Mutant", (Ledger,), changes)


MUTANTS = {
    "a sum in floating point": machine(account_type=FloatAccount),
    "a refund that is not checked": machine(account_type=TrustingAccount),
    "a charge that is rounded down": machine(charge_of=staticmethod(rounded_down)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_state_machine_turns_red_on(name: str) -> None:
    quick = settings(
        max_examples=400,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises((AssertionError, RuntimeError)):
        run_state_machine_as_test(MUTANTS[name], settings=quick)


def test_mutants_each_overspend_by_an_attack_of_their_own() -> None:
    """What the machine finds by chance, said plainly."""
    floating = FloatAccount(budget(HUGE), rho=HUGE)
    assert floating.allows(Charge(kind="zcdp", amount="1")), "one unit more than all"
    assert not Account(budget(HUGE), rho=HUGE).allows(Charge(kind="zcdp", amount="1"))

    trusting = TrustingAccount(budget(exact_max=1)).refund(exact(5)).spend(exact(6))
    assert trusting.sums == 1, "six sums left, and one is counted"
    with pytest.raises(AssertionError):
        Account(budget(exact_max=1)).refund(exact(5))

    free = Account(budget(rho_max=1))
    for _ in range(10):
        free = free.spend(rounded_down(1, 2**40))
    assert free.rho == 0, "five units left, and none is counted"


@given(POSITIVE, POSITIVE, st.integers(0, 10**15), st.integers(1, 50))
def test_the_filter_refuses_at_the_same_round_as_a_reference(
    sensitivity: Fraction, sigma: Fraction, rho_max: int, most: int
) -> None:
    """The reference: how many whole charges a budget holds, by one division."""
    charge = zcdp(sensitivity, sigma)
    rounds = min(most, rho_max // ceil(Fraction(2**39) * sensitivity / sigma))
    account = Account(budget(rho_max))
    for _ in range(rounds):
        account = account.spend(charge)
    assert account.rho == rounds * units(charge)
    if rounds < most:
        with pytest.raises(BudgetExhausted):
            account.spend(charge)


@given(st.lists(st.integers(1, 50), max_size=8), st.integers(0, 120))
def test_charges_together_fit_when_one_after_the_other_they_do(
    amounts: list[int], rho_max: int
) -> None:
    charges = [Charge(kind="zcdp", amount=str(amount)) for amount in amounts]
    assert Account(budget(rho_max)).allows(*charges) is (sum(amounts) <= rho_max)


def test_a_spend_and_its_refund_leave_the_account_as_it_was() -> None:
    account = Account(budget(1000, 10), rho=3, sums=2)
    for charge in (exact(4), zcdp(1, 2**32)):
        assert account.spend(charge).refund(charge) == account


def test_an_account_is_a_value() -> None:
    account = Account(budget(exact_max=3))
    account.spend(exact())
    assert account == Account(budget(exact_max=3))


def test_a_refusal_names_signal_field_and_what_the_budget_is() -> None:
    with pytest.raises(BudgetExhausted) as refused:
        Account(budget(exact_max=3), sums=3).spend(exact())
    assert (refused.value.field, refused.value.value) == ("budget.exact_max", "3")
    assert "depth" in refused.value.what
    assert refused.value.advice
    with pytest.raises(BudgetExhausted) as refused:
        Account(budget(rho_max=3)).spend(zcdp(1, 1))
    assert (refused.value.field, refused.value.value) == ("budget.rho_max", "3")


def test_one_kind_of_charge_does_not_spend_the_other() -> None:
    account = Account(budget(rho_max=0, exact_max=2)).spend(exact(2))
    assert not account.allows(exact())
    assert account.rho == 0


# ---- what is printed


def oracle(rho: float, delta: float) -> float:
    """Rényi divergence to (epsilon, delta), on a grid of orders: an upper bound of its infimum.

    Source: Canonne, Kamath, Steinke (2020), Proposition 12, written as in Mironov's accountant:
    rdp + ln((a - 1)/a) - (ln(delta) + ln(a))/(a - 1).
    """
    orders = [1 + 1.01**power for power in range(-2000, 3000)]
    return max(
        0.0, min(rho * a + log((a - 1) / a) - (log(delta) + log(a)) / (a - 1) for a in orders)
    )


def gaussian(rho: float, delta: float) -> float:
    """The exact epsilon of one Gaussian mechanism of that rho, by bisection: no bound is below.

    Source: Balle and Wang (2018), Theorem 8, with mu^2 = 2 rho.
    """
    mu = sqrt(2 * rho)

    def above(epsilon: float) -> float:
        tail = erfc((epsilon / mu - mu / 2) / sqrt(2)) / 2
        other = erfc((epsilon / mu + mu / 2) / sqrt(2)) / 2
        return tail - (exp(epsilon) * other if other else 0.0)

    low, high = 0.0, 700.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if above(middle) > delta else (low, middle)
    return high


def textbook(rho: float, delta: float) -> float:
    """Bun and Steinke (2016), Proposition 1.3."""
    return rho + 2 * sqrt(rho * log(1 / delta))


def spent(rho: float) -> Account:
    return Account(budget(2**120), rho=ceil(rho * RHO_UNITS))


def test_the_notes_figures_come_out() -> None:
    """300 rounds at sigma = 20 D, delta = 1e-6: textbook 4.927, printed 4.441, exact 4.152."""
    account = Account(budget(10**15))
    for _ in range(300):
        account = account.spend(zcdp(1, 400))
    rho = account.rho / RHO_UNITS
    assert f"{account.epsilon(1e-6):.3f}" == "4.441"
    assert f"{textbook(rho, 1e-6):.3f}" == "4.927"
    assert f"{gaussian(rho, 1e-6):.3f}" == "4.152"
    assert account.epsilon() == account.epsilon(1e-6), "delta is the budget's own"


RHOS = st.floats(1e-6, 50)
DELTAS = st.floats(1e-12, 1e-2)


@settings(max_examples=40, deadline=None)
@given(RHOS, DELTAS)
def test_what_is_printed_is_the_renyi_bound(rho: float, delta: float) -> None:
    """The grid's orders are a hundredth apart, which costs it less than a thousandth."""
    printed, bound = spent(rho).epsilon(delta), oracle(rho, delta)
    assert printed <= bound * (1 + 1e-9) + 1e-9
    assert printed >= bound * (1 - 1e-3) - 1e-6


@settings(max_examples=40, deadline=None)
@given(RHOS, DELTAS)
def test_what_is_printed_lies_between_the_exact_value_and_the_textbooks(
    rho: float, delta: float
) -> None:
    printed = spent(rho).epsilon(delta)
    assert gaussian(rho, delta) <= printed + 1e-9
    assert printed <= textbook(rho, delta) * (1 + 1e-9) + 1e-9


@settings(max_examples=40, deadline=None)
@given(RHOS, st.floats(1.001, 4), DELTAS)
def test_more_rho_and_less_delta_never_print_less(rho: float, more: float, delta: float) -> None:
    here = spent(rho).epsilon(delta)
    assert spent(rho * more).epsilon(delta) >= here - 1e-9
    assert spent(rho).epsilon(delta / more) >= here - 1e-9


def test_nothing_spent_prints_nothing_and_a_noiseless_sum_prints_infinity() -> None:
    account = Account(budget(1000, 5))
    assert account.epsilon() == 0.0
    assert account.spend(exact()).epsilon() == inf
    assert account.spend(exact()).refund(exact()).epsilon() == 0.0
    assert replace(account, rho=10, sums=1).epsilon() == inf


def test_extreme_spends_print_numbers() -> None:
    assert 0.0 <= Account(budget(1), rho=1).epsilon() < 1e-3
    assert 1e6 < spent(1e6).epsilon() < textbook(1e6, 1e-6) + 1
