"""`python -m covenue_contracts.export --write | --check | --release`: models to files.

The models and examples are the truth; `schemas` and `vectors` are what they export. A released
schema never changes: `schemas/released.json` holds its digest, and no export touches it again.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from covenue_contracts.catalogue import home, is_packaged
from covenue_contracts.schema_files import pretty, schema_files
from covenue_contracts.vector_files import vector_files

_RELEASED = "schemas/released.json"


def files() -> dict[str, bytes]:
    """Every exported file, by path relative to the folder that holds `schemas` and `vectors`."""
    exports = {f"schemas/{path}": data for path, data in schema_files().items()}
    exports.update((f"vectors/{path}", data) for path, data in vector_files().items())
    return exports


def differences(root: Path, exports: dict[str, bytes]) -> list[str]:
    """One line for each file that is missing, drifted or extra under `root`, in order of path."""
    present = {
        path.relative_to(root).as_posix(): path
        for folder in ("schemas", "vectors")
        for path in (root / folder).rglob("*")
        if path.is_file()
    }
    found = [f"{path}: missing" for path in exports.keys() - present.keys()]
    found += [f"{path}: extra" for path in present.keys() - exports.keys() - {_RELEASED}]
    found += [
        f"{path}: drifted"
        for path, data in exports.items()
        if path in present and present[path].read_bytes() != data
    ]
    return sorted(found)


def broken_releases(root: Path, exports: dict[str, bytes]) -> list[str]:
    """One line for each released contract whose schema the models no longer export."""
    digests = json.loads(exports["schemas/digests.json"])
    return [
        f"schemas/{kind}.json: {kind} is released and its schema changed; make a new version"
        for kind, digest in sorted(released(root).items())
        if digests.get(kind) != digest
    ]


def released(root: Path) -> dict[str, str]:
    """Released kinds with the digest that each keeps for ever."""
    path = root / _RELEASED
    return dict(json.loads(path.read_bytes())) if path.exists() else {}


def check(root: Path) -> list[str]:
    """Everything that is wrong with the exported files under `root`."""
    exports = files()
    return broken_releases(root, exports) + differences(root, exports)


def write(root: Path) -> list[str]:
    """Make the files under `root` what the models say, unless that would change a release."""
    exports = files()
    if broken := broken_releases(root, exports):
        return broken
    for line in differences(root, exports):
        path, _, state = line.rpartition(": ")
        if state == "extra":
            (root / path).unlink()
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(exports[path])
    return []


def release(root: Path) -> list[str]:
    """Freeze every contract as it is exported now; refused while the export is not clean."""
    if wrong := check(root):
        return wrong
    digests = json.loads((root / "schemas" / "digests.json").read_bytes())
    (root / _RELEASED).write_bytes(pretty({**released(root), **digests}))
    return []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the three; 0 is fine, 1 names what is wrong on a line each, 2 is bad use."""
    parser = argparse.ArgumentParser(prog="python -m covenue_contracts.export", description=__doc__)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", action="store_const", dest="verb", const=write)
    choice.add_argument("--check", action="store_const", dest="verb", const=check)
    choice.add_argument("--release", action="store_const", dest="verb", const=release)
    verb = parser.parse_args(arguments).verb
    if verb is not check and is_packaged():
        return _say(["this is an installed copy: run it in a checkout"], 2)
    return _say(verb(home()), 1)


def _say(lines: Iterable[str], code: int) -> int:
    wrong = list(lines)
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return code if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
