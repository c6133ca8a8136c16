"""ExoRoute: parent orders across books at least all-in cost."""

from covenue.hooks import hookimpl
from covenue.hooks.domains import RegisterDomain
from covenue_domain_routing.routing import Routing, basket, buy, sell
from covenue_domain_routing.stacks import Books

__all__ = ["Books", "Routing", "basket", "buy", "register_domains", "sell"]


@hookimpl
def register_domains(register: RegisterDomain) -> None:
    """Hand over the domain `routing`."""
    register("routing", Routing)
