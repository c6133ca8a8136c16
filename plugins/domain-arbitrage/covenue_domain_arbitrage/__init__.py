"""ArbSphere: pools and books against public references, on sums of net amounts."""

from covenue.hooks import hookimpl
from covenue.hooks.domains import RegisterDomain
from covenue_domain_arbitrage.arbitrage import Arbitrage, against

__all__ = ["Arbitrage", "against", "register_domains"]


@hookimpl
def register_domains(register: RegisterDomain) -> None:
    """Hand over the domain `arbitrage`."""
    register("arbitrage", Arbitrage)
