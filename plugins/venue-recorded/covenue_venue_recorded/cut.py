"""Cuts a capture: `python -m covenue_venue_recorded.cut SOURCE DEST --until NS`.

Keeps the original lines, unmodified, with local receive time <= NS that are the REST snapshot or
depth diffs. The gzip is deterministic: level 9, time 0, no name.
"""

import gzip
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from covenue.errors import CaptureDamaged, OutputExists


def kept(lines: Iterable[bytes], until: int) -> Iterator[bytes]:
    """The lines of a capture that belong to its cut, each with its own end."""
    for line in lines:
        stamp, _, text = line.partition(b" ")
        is_depth = b"@depth" in text[:128] or not text.startswith(b'{"stream"')
        if int(stamp) <= until and is_depth:
            yield line


def cut(source: Path, until: int) -> bytes:
    """The cut of a gzip capture, as gzip bytes. Raises CaptureDamaged on a line without a time."""
    body = io.BytesIO()
    with gzip.open(source, "rb") as lines, gzip.GzipFile("", "wb", 9, body, mtime=0) as out:
        try:
            out.writelines(kept(lines, until))
        except (ValueError, EOFError, OSError) as error:
            raise CaptureDamaged(
                "the source is no capture", "give a gzip of raw lines", file=str(source)
            ) from error
    return body.getvalue()


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("dest", type=click.Path(path_type=Path))
@click.option("--until", type=int, required=True, metavar="NS", help="Last local receive time.")
def main(source: Path, dest: Path, until: int) -> None:
    """Cut SOURCE to its snapshot and depth diffs until NS, into the new file DEST."""
    if dest.exists():
        error = OutputExists("the output exists", "name another file", file=str(dest))
        raise click.ClickException(str(error))
    try:
        dest.write_bytes(cut(source, until))
    except CaptureDamaged as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
