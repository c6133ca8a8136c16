"""ExProve: one order over time slices and venues, tracking a volume curve."""

from covenue.hooks import hookimpl
from covenue.hooks.domains import RegisterDomain
from covenue_domain_execution.execution import Execution, buy, sell

__all__ = ["Execution", "buy", "register_domains", "sell"]


@hookimpl
def register_domains(register: RegisterDomain) -> None:
    """Hand over the domain `execution`."""
    register("execution", Execution)
