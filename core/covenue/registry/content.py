"""The content digest: what an installed plugin consists of, equal from its wheel and its copy.

SHA-256 over sorted (path, SHA-256) of the package's files, METADATA and entry points. Byte code
under `__pycache__` is left out; a `.pyc` beside the sources is code and is counted.
Source: plugins.md, section 3.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

TAG = b"covenue plugin content v1"
RECORDED = ("METADATA", "entry_points.txt")


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256, in hex, over (path, SHA-256 of the body), in order of path."""
    state = hashlib.sha256()
    for part in _parts(files):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.hexdigest()


def _parts(files: Mapping[str, bytes]) -> Iterator[bytes]:
    yield TAG
    for path in sorted(files):
        yield path.encode("utf-8", "surrogateescape")
        yield hashlib.sha256(files[path]).digest()


def installed_digest(package: Path, records: Mapping[str, str]) -> str:
    """The digest of an installed copy: its package folder, and its dist-info texts by name."""
    files = dict(_package_files(package))
    files |= {name: records[name].encode("utf-8") for name in RECORDED if name in records}
    return digest_of(files)


def _package_files(package: Path) -> Iterator[tuple[str, bytes]]:
    for path in package.rglob("*"):
        inside = path.relative_to(package)
        if path.is_file() and not _is_byte_code(inside.parts):
            yield f"{package.name}/{inside.as_posix()}", path.read_bytes()


def wheel_digest(wheel: Path, package: str) -> str:
    """The digest of a wheel file that holds `package`, computed without installing it."""
    with zipfile.ZipFile(wheel) as archive:
        return digest_of(
            {
                name: archive.read(member)
                for member, name in _wheel_members(archive.namelist(), package)
            }
        )


def _wheel_members(members: Iterable[str], package: str) -> Iterator[tuple[str, str]]:
    for member in members:
        parts = tuple(member.split("/"))
        if member.endswith("/") or _is_byte_code(parts):
            continue
        if parts[0] == package:
            yield member, member
        elif len(parts) == 2 and parts[0].endswith(".dist-info") and parts[1] in RECORDED:
            yield member, parts[1]


def _is_byte_code(parts: tuple[str, ...]) -> bool:
    return "__pycache__" in parts
