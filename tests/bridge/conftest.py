"""A bridge between all dialects that this repository ships."""

import pytest

from covenue.bridge.energibridge import EnergiBridge
from covenue_domain_arbitrage.dialect import ARBSPHERE
from covenue_domain_execution.dialect import EXPROVE
from covenue_domain_routing.dialect import EXOROUTE


@pytest.fixture(scope="session")
def bridge() -> EnergiBridge:
    return EnergiBridge((EXOROUTE, ARBSPHERE, EXPROVE))
