"""Covenue: one plan across parties that share no data, proved afterwards bit for bit."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covenue.facade import PlanResult, plan

__all__ = ["PlanResult", "plan"]


def __getattr__(name: str) -> Any:
    """Load the facade when it is asked for: `import covenue` alone costs nothing."""
    if name in __all__:
        from covenue import facade

        return getattr(facade, name)
    message = f"module 'covenue' has no attribute {name!r}"
    raise AttributeError(message)
