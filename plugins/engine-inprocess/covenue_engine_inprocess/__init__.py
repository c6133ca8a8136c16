"""A cohort in one process, on simulated or real time."""

from covenue.hooks import hookimpl
from covenue.hooks.engines import RegisterEngine


@hookimpl
def register_engines(register: RegisterEngine) -> None:
    """Hand over the in-process engine."""
    from covenue_engine_inprocess.engine import InProcess

    register("inprocess", InProcess.from_options)
