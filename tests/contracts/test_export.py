"""The exported schemas are what the models say, and say it portably."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import ConfigDict, Field

from covenue_contracts import catalogue, export
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import Contract, Count, contract, contracts
from covenue_contracts.portability import pattern_fault, unportable
from covenue_contracts.schema_files import DIALECT, pretty, schema_of, urn
from covenue_contracts.subschemas import walk

MODELS = catalogue.load_all()


@pytest.fixture(scope="module")
def exports() -> dict[str, bytes]:
    return export.files()


@pytest.fixture
def root(tmp_path: Path, exports: dict[str, bytes]) -> Path:
    for path, data in exports.items():
        if path.startswith("schemas/"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)
    return tmp_path


@pytest.fixture
def schemas_only(monkeypatch: pytest.MonkeyPatch, exports: dict[str, bytes]) -> None:
    chosen = {path: data for path, data in exports.items() if path.startswith("schemas/")}
    monkeypatch.setattr(export, "files", lambda: dict(chosen))


def test_the_export_is_clean() -> None:
    assert export.check(catalogue.home()) == []


@pytest.mark.usefixtures("schemas_only")
def test_every_missing_drifted_and_extra_file_is_named(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "schemas/goal/v1.json").unlink()
    (root / "schemas/upload/v1.json").write_bytes(b"{}\n")
    (root / "schemas/goal/v2.json").write_bytes(b"{}\n")
    monkeypatch.setattr(export, "home", lambda: root)
    assert export.main(["--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "schemas/goal/v1.json: missing",
        "schemas/goal/v2.json: extra",
        "schemas/upload/v1.json: drifted",
    ]
    assert export.main(["--write"]) == 0
    assert export.main(["--check"]) == 0
    assert not (root / "schemas/goal/v2.json").exists()


@pytest.mark.usefixtures("schemas_only")
def test_a_released_schema_is_never_written_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export.release(root) == []
    before = (root / "schemas/upload/v1.json").read_bytes()
    changed = export.files()
    changed["schemas/upload/v1.json"] = b"{}\n"
    digests = json.loads(changed["schemas/digests.json"])
    changed["schemas/digests.json"] = pretty({**digests, "upload/v1": "0" * 64})
    monkeypatch.setattr(export, "files", lambda: changed)
    line = (
        "schemas/upload/v1.json: upload/v1 is released and its schema changed; make a new version"
    )
    assert line in export.check(root)
    assert export.write(root) == [line]
    assert export.release(root) != []
    assert (root / "schemas/upload/v1.json").read_bytes() == before


@pytest.mark.usefixtures("schemas_only")
def test_without_the_record_of_releases_the_change_would_be_written(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export.release(root) == []
    changed = {**export.files(), "schemas/upload/v1.json": b"{}\n"}
    monkeypatch.setattr(export, "files", lambda: changed)
    monkeypatch.setattr(export, "released", lambda _root: {})
    assert export.write(root) == []
    assert (root / "schemas/upload/v1.json").read_bytes() == b"{}\n"


def test_an_installed_copy_is_only_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "is_packaged", lambda: True)
    assert export.main(["--write"]) == 2
    assert "run it in a checkout" in capsys.readouterr().err


@pytest.mark.parametrize("kind", MODELS)
def test_a_shipped_schema_is_the_model_s_closed_and_portable(kind: str) -> None:
    schema = catalogue.schema(kind)
    assert schema == schema_of(MODELS[kind], kind)
    assert schema["$schema"] == DIALECT
    assert schema["$id"] == urn(kind) == f"urn:covenue:contract:{kind.replace('/', ':')}"
    assert unportable(schema) == ()
    assert all("title" not in part for _, part in walk(schema))
    assert set(schema["required"]) == set(schema["properties"])
    digest = hashlib.sha256(canonical(schema)).hexdigest()
    assert catalogue.schema_digest(kind) == digest


def test_every_module_that_registers_contracts_is_loaded() -> None:
    package = Path(catalogue.__file__).parent
    registering = {
        path.stem
        for path in package.glob("*.py")
        if "\n@contract(" in path.read_text(encoding="utf-8")
    }
    assert registering == set(catalogue.MODULES)
    assert tuple(MODELS) == catalogue.kinds()
    assert contracts() == MODELS


def test_a_kind_is_registered_once() -> None:
    with pytest.raises(ValueError, match=r"goal/v1 is registered twice"):
        contract("goal/v1")(MODELS["goal/v1"])


def test_an_unknown_kind_is_named() -> None:
    for ask in (catalogue.schema, catalogue.schema_digest, catalogue.model):
        with pytest.raises(catalogue.KindUnknown, match="'goal/v9'"):
            ask("goal/v9")
    with pytest.raises(catalogue.KindUnknown):
        list(catalogue.vectors("../schemas"))


class Loose(Contract):
    text: Annotated[str, Field(pattern="[0-9]+")]


class Unbounded(Contract):
    number: int


class Floating(Contract):
    number: float


class Defaulted(Contract):
    number: Count = 0


class Open(Contract):
    model_config = ConfigDict(extra="allow")
    anything: Count


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (Loose, "P3-pattern"),
        (Floating, "P4-number"),
        (Unbounded, "P5-integer"),
        (Defaulted, "P6-keyword"),
        (Open, "P2-closed"),
    ],
)
def test_a_model_that_cannot_be_said_portably_is_not_exported(
    model: type[Contract], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        schema_of(model, "mutant/v1")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("[0-9]+$", "anchored"),
        ("^[0-9]+", "anchored"),
        (r"^[0-9]+\$", "anchored"),
        ("^a|b$", "alternative"),
        ("^(a|b)$", ""),
        ("^[|]$", ""),
        (r"^\|$", ""),
        (r"^\d$", "escape"),
        ("^(?=a)a$", "lookaround"),
        ("^a$b$", "anchor inside"),
        ("^[$^]$", ""),
    ],
)
def test_a_pattern_is_portable_only_when_engines_agree_on_it(pattern: str, why: str) -> None:
    fault = pattern_fault(pattern)
    assert bool(fault) == bool(why)
    assert why in fault


def test_reading_a_digest_imports_no_model() -> None:
    program = (
        "import sys; from covenue_contracts.catalogue import schema, schema_digest;"
        "schema('goal/v1'); schema_digest('goal/v1');"
        "sys.exit(any(name.startswith('pydantic') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_packaged_copy_finds_what_it_carries(tmp_path: Path) -> None:
    source = Path(catalogue.__file__).parent
    package = tmp_path / "covenue_contracts"
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("schemas", "vectors"):
        shutil.copytree(catalogue.home() / folder, package / folder)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "from covenue_contracts import catalogue;"
        "print(catalogue.home(), len(list(catalogue.vectors('goal/v1'))),"
        " catalogue.schema('goal/v1')['$id'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30
    )
    expected = len(list(catalogue.vectors("goal/v1")))
    assert result.stdout.split() == [str(package.resolve()), str(expected), urn("goal/v1")]
