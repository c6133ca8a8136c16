"""Secure aggregation: the coordinator sees sums."""

from covenue.hooks import hookimpl
from covenue.hooks.privacy import RegisterPrivacy


@hookimpl
def register_privacy(register: RegisterPrivacy) -> None:
    """Hand over the secure stage."""
    from covenue_privacy_secagg.stage import SecAgg

    register("secagg", SecAgg)
