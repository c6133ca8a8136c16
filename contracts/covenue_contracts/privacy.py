"""Privacy allowances and spends, in integers."""

from typing import Literal

from covenue_contracts.contract import Contract, Count, Digest, Name, Natural, Text, contract

Adjacency = Literal["replace-one-venue", "replace-one-program"]


@contract("privacy-budget/v1")
class PrivacyBudget(Contract):
    """Allowance for one signal: zCDP in units of 2^-40, and a number of noiseless sums.

    delta_exponent: delta = 10^-delta_exponent, used only where (epsilon, delta) is printed.
    """

    signal: Name
    rho_max: Natural
    exact_max: Natural
    delta_exponent: Count
    adjacency: Adjacency


@contract("charge/v1")
class Charge(Contract):
    """One spend: zCDP units of 2^-40, or noiseless sums."""

    kind: Literal["zcdp", "exact"]
    amount: Natural


@contract("budget.open/v1")
class BudgetOpened(Contract):
    """A node opens its allowance for a signal."""

    budget: PrivacyBudget


@contract("budget.charge/v1")
class BudgetCharged(Contract):
    """Charged before anything of the round leaves the node."""

    plan: Digest
    round: Count
    signal: Name
    charge: Charge


@contract("budget.refund/v1")
class BudgetRefunded(Contract):
    """A charge returned because a proof shows that the round released nothing."""

    plan: Digest
    round: Count
    signal: Name
    charge: Charge


@contract("budget.refused/v1")
class BudgetRefused(Contract):
    """A round that the node declined, and why."""

    plan: Digest
    round: Count
    signal: Name
    reason: Text
