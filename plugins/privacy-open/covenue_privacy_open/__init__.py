"""Open sums: the coordinator sees every answer."""

from covenue.hooks import hookimpl
from covenue.hooks.privacy import RegisterPrivacy


@hookimpl
def register_privacy(register: RegisterPrivacy) -> None:
    """Hand over the open stage."""
    from covenue_privacy_open.stage import OpenSum

    register("open", OpenSum)
