"""The integer accountant: one filter per signal, charged before anything leaves.

Currency: zCDP in units of 2^-40, always rounded up, and whole noiseless sums. A charge is
reserved, then committed by a durable append, and comes back only against a proof.
Source: privacy.md, section 2; the conversion to (epsilon, delta) is Canonne, Kamath and
Steinke, "The Discrete Gaussian for Differential Privacy", Proposition 12 (2020).
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, exp, log, log1p

from covenue.errors import BudgetExhausted
from covenue_contracts.privacy import Charge, PrivacyBudget

RHO_UNITS = 2**40
UNITS_MOST = 10**39 - 1


def zcdp(sensitivity_squared: Fraction | int, sigma_squared: Fraction | int) -> Charge:
    """The charge of Gaussian noise: ceil(2^39 * D^2 / sigma^2) units, in exact arithmetic.

    Raises BudgetExhausted for no noise, or for so little that no budget can carry it.
    """
    sensitivity, sigma = Fraction(sensitivity_squared), Fraction(sigma_squared)
    if sigma <= 0 or RHO_UNITS // 2 * sensitivity > UNITS_MOST * sigma:
        raise BudgetExhausted(
            "the noise is too small for any budget",
            "raise its sigma, or lower the bound of the space",
            field="privacy.mechanism",
        )
    return Charge(kind="zcdp", amount=str(ceil(RHO_UNITS // 2 * sensitivity / sigma)))


def exact(count: int = 1) -> Charge:
    """The charge of noiseless sums, which have no finite rho."""
    return Charge(kind="exact", amount=str(count))


@dataclass(frozen=True)
class Account:
    """What of one budget is spent; a new account is returned by every change."""

    budget: PrivacyBudget
    rho: int = 0
    sums: int = 0

    def allows(self, *charges: Charge) -> bool:
        """Whether all of these charges together still fit."""
        rho = self.rho + sum(int(c.amount) for c in charges if c.kind == "zcdp")
        sums = self.sums + sum(int(c.amount) for c in charges if c.kind == "exact")
        return rho <= int(self.budget.rho_max) and sums <= int(self.budget.exact_max)

    def spend(self, charge: Charge) -> "Account":
        """The account after a charge. Raises BudgetExhausted when it does not fit."""
        if not self.allows(charge):
            raise BudgetExhausted(
                f"the budget of signal '{self.budget.signal}' allows no further {charge.kind} "
                f"charge of {charge.amount}",
                "raise the party's budget, or ask for fewer plans",
                field=f"budget.{'rho_max' if charge.kind == 'zcdp' else 'exact_max'}",
                value=self.budget.rho_max if charge.kind == "zcdp" else self.budget.exact_max,
            )
        return self._moved(charge, 1)

    def refund(self, charge: Charge) -> "Account":
        """The account after a charge came back; never below nothing spent."""
        moved = self._moved(charge, -1)
        if moved.rho < 0 or moved.sums < 0:
            message = "a refund exceeds what was spent"
            raise AssertionError(message)
        return moved

    def _moved(self, charge: Charge, sign: int) -> "Account":
        amount = sign * int(charge.amount)
        if charge.kind == "zcdp":
            return replace(self, rho=self.rho + amount)
        return replace(self, sums=self.sums + amount)

    def epsilon(self, delta: float | None = None) -> float:
        """The epsilon of (epsilon, delta) for the zCDP spent so far; printed, never charged.

        Noiseless sums carry no epsilon: with any of them spent the result is infinite.
        """
        if self.sums:
            return float("inf")
        if not self.rho:
            return 0.0
        chance = 10.0 ** -int(self.budget.delta_exponent) if delta is None else delta
        return _epsilon(self.rho / RHO_UNITS, chance)


def _epsilon(rho: float, delta: float) -> float:
    """The least epsilon over alpha > 1.

    With a = alpha - 1 it is
    rho*alpha + [ln(1/delta) + a*ln(1 - 1/alpha) - ln(alpha)] / a; the
    minimum is searched on ln(alpha - 1), where the function is unimodal.
    """

    def at(position: float) -> float:
        above = exp(position)
        alpha = 1 + above
        return rho * alpha + (-log(delta) + above * log1p(-1 / alpha) - log(alpha)) / above

    low, high = -20.0, 40.0
    for _ in range(200):
        third = (high - low) / 3
        if at(low + third) <= at(high - third):
            high -= third
        else:
            low += third
    return max(0.0, at((low + high) / 2))
