"""Errors as a person sees them: one screen, no traceback, or one JSON object; and the exit code."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from covenue.cli.printing import plain, print_json
from covenue.errors import BadInput, CovenueError

OK, FAILED, BAD_INPUT, DEFECT, INTERRUPTED, TERMINATED = 0, 1, 2, 70, 130, 143


class Terminated(BaseException):
    """SIGTERM, as an interruption: everything that is open is closed on the way out."""


@contextmanager
def termination_raised() -> Iterator[None]:
    """Raise SIGTERM as Terminated, once: a second one does not disturb what is being closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def as_covenue_error(error: BaseException) -> CovenueError | None:
    """The error as a value with advice; None for what only a developer can correct."""
    if isinstance(error, CovenueError):
        return error
    if isinstance(error, click.ClickException):
        return _of_click(error)
    if isinstance(error, OSError) and error.strerror:
        return BadInput(
            f"the system refuses: {error.strerror}",
            "check the path and its permissions",
            file=str(error.filename or ""),
        )
    return None


def _of_click(error: click.ClickException) -> BadInput:
    """click's errors in our words, which do not change with its version where that is easy."""
    context = getattr(error, "ctx", None)
    path = context.command_path if isinstance(context, click.Context) else "covenue"
    what, _, advice = error.format_message().partition("\n  try: ")
    field = value = ""
    if isinstance(error, click.NoSuchOption):
        what, field = f"no such option {error.option_name}", error.option_name
    elif isinstance(error, click.BadOptionUsage):
        field = error.option_name
        if "requires an argument" in what:
            what, advice = f"{field} needs a value", f"write {field} VALUE"
    elif isinstance(error, click.MissingParameter) and error.param is not None:
        field = _typed_name(error.param)
        what = f"{field} is missing"
    elif isinstance(error, click.BadParameter) and error.param is not None:
        what, field = error.message, _typed_name(error.param)
        value = what.partition(" is not ")[0].strip("'") if " is not " in what else ""
    return BadInput(what, advice or f"{path} --help", field=field, value=value)


def _typed_name(parameter: click.Parameter) -> str:
    """A parameter as it is typed: `--to`, or the placeholder of an argument."""
    if isinstance(parameter, click.Option):
        return parameter.opts[-1]
    return parameter.human_readable_name


def exit_code_of(error: BaseException) -> int:
    """2 for bad input, 130 for an interruption, 143 for SIGTERM, 70 for a defect of ours."""
    if isinstance(error, Terminated):
        return TERMINATED
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if _is_closed_pipe(error):
        return FAILED
    return BAD_INPUT if as_covenue_error(error) else DEFECT


def _asks_for_help(error: BaseException) -> bool:
    """A group without a subcommand: newer versions of click raise its help as an error."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _is_closed_pipe(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def report(error: BaseException, *, as_json: bool) -> None:
    """Print an error: to stdout as one object, or to stderr as one screen."""
    if _is_closed_pipe(error):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has left
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        _print({"error": "Interrupted", "what": "interrupted", "advice": RESUME}, as_json)
    elif isinstance(error, Terminated):
        _print({"error": "Terminated", "what": "ended by SIGTERM", "advice": RESUME}, as_json)
    elif _asks_for_help(error):
        click.echo(str(error.args[0]) if error.args else str(error), err=True)
    elif (known := as_covenue_error(error)) is not None:
        _print_known(known, as_json)
    else:
        _print_defect(error, as_json)


RESUME = "what was written is whole; continue a run with covenue run --resume LEDGER"


def _print_known(error: CovenueError, as_json: bool) -> None:
    if as_json:
        print_json(error.diagnostics())
    else:
        click.echo(plain(str(error), lines=True), err=True)


def _print_defect(error: BaseException, as_json: bool) -> None:
    import traceback

    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    what = f"{type(error).__name__}: {error}"
    _print({"error": "Defect", "what": what, "advice": "report this; it is our mistake"}, as_json)


def _print(fields: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(fields)
    else:
        text = f"{fields['error']}: {fields['what']}\n  try: {fields['advice']}"
        click.echo(plain(text, lines=True), err=True)
