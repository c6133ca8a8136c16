"""From the checkout to wheels to an empty environment, without a network."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from tests.tidy.tree import ROOT, distributions, requirement_paths, settings

PARTS = distributions()
NAMES = {settings(folder)["project"]["name"]: folder for folder in PARTS}
OWN = re.compile(r"_?covenue|__editable__")
REQUIREMENT = re.compile(r"^(covenue[a-z-]*)(\[[a-z]+\])?(.*?)(;.*)?$")


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command; its output, or an assertion that shows it."""
    told = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert told.returncode == 0, f"{command}\n{told.stdout}\n{told.stderr}"
    return told.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every distribution as sdist and as the wheel made from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    for folder in PARTS:
        run(sys.executable, "-m", "build", "--no-isolation", "-o", out, folder, cwd=out)
    return out


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every distribution as a wheel made from the checkout itself."""
    out = tmp_path_factory.mktemp("wheels")
    folders = [str(folder) for folder in PARTS]
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-index")
    run(*pip, "--no-build-isolation", "-w", out, *folders, cwd=out)
    return out


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheels, and third-party libraries lent by the gate's."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home / "venv", with_pip=False, symlinks=True)
    lent = home / "lent"
    lent.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not OWN.match(path.name) and path.suffix != ".pth":
            (lent / path.name).symlink_to(path)
    python = home / "venv/bin/python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=home)
    (Path(site.strip()) / "lent.pth").write_text(f"{lent}\n")
    wheels = sorted(str(wheel) for wheel in built.glob("*.whl"))
    pip = (sys.executable, "-m", "pip", "--python", str(python), "install", "-q")
    run(*pip, "--no-deps", "--no-index", *wheels, cwd=home)
    return home


def covenue(environment: Path, *words: str) -> str:
    """Run the installed command outside the checkout, with nothing of the gate around it."""
    outside = environment / "outside"
    outside.mkdir(exist_ok=True)
    env = {"PATH": os.defpath, "HOME": str(outside), "LC_ALL": "C.UTF-8"}
    return run(environment / "venv/bin/covenue", *words, cwd=outside, env=env)


def wheel_of(name: str, folder: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(folder.glob(f"{name.replace('-', '_')}-[0-9]*.whl")))


def metadata(name: str, folder: Path) -> Message:
    with wheel_of(name, folder) as wheel:
        path = next(p for p in wheel.namelist() if p.endswith(".dist-info/METADATA"))
        return Parser().parsestr(wheel.read(path).decode())


@pytest.mark.parametrize("name", NAMES)
def test_the_wheel_from_the_sdist_is_the_wheel_from_the_checkout(
    name: str, built: Path, direct: Path
) -> None:
    with wheel_of(name, built) as ours, wheel_of(name, direct) as theirs:
        assert sorted(ours.namelist()) == sorted(theirs.namelist())
        assert all(ours.read(path) == theirs.read(path) for path in ours.namelist())


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_holds_its_package_and_no_tests(name: str, built: Path) -> None:
    with wheel_of(name, built) as wheel:
        paths = set(wheel.namelist())
    package = name.replace("-", "_")
    assert f"{package}/__init__.py" in paths
    assert f"{package}/py.typed" in paths
    assert {path.split("/")[0] for path in paths} <= {package, f"{package}-0.1.0.dist-info"}
    if NAMES[name].parent.name == "plugins":
        assert f"{package}/plugin.json" in paths


def test_the_contracts_carry_schemas_and_vectors(built: Path) -> None:
    with wheel_of("covenue-contracts", built) as wheel:
        paths = wheel.namelist()
    assert "covenue_contracts/schemas/plan.delta/v1.json" in paths
    assert any(path.startswith("covenue_contracts/vectors/") for path in paths)


def test_no_sdist_holds_what_does_not_belong_to_it(built: Path) -> None:
    for sdist in built.glob("*.tar.gz"):
        with tarfile.open(sdist) as archive:
            inside = [path.split("/", 1)[1] for path in archive.getnames() if "/" in path]
        assert not [path for path in inside if path.startswith((".venv", "tests/", ".git/"))]


@pytest.mark.parametrize("name", NAMES)
def test_metadata_names_no_path_and_no_address(name: str, built: Path) -> None:
    said = metadata(name, built)
    for requirement in said.get_all("Requires-Dist", []):
        assert "@" not in requirement
        assert "/" not in requirement
    assert str(ROOT) not in said.as_string()


def test_the_extra_starter_is_starter_txt(built: Path) -> None:
    listed = {
        folder.name for folder in requirement_paths("starter.txt") if "plugins" in folder.parts
    }
    said = metadata("covenue", built).get_all("Requires-Dist", [])
    extra = {
        REQUIREMENT.sub(r"\1", line)
        for line in said
        if 'extra == "starter"' in line or "extra == 'starter'" in line
    }
    assert extra == {f"covenue-{folder}" for folder in listed}


def test_all_txt_is_every_distribution() -> None:
    assert set(requirement_paths("all.txt")) == {folder.resolve() for folder in PARTS}


@pytest.mark.parametrize("listing", ["starter.txt", "all.txt"])
def test_every_requirement_of_ours_is_in_the_same_listing(listing: str) -> None:
    folders = requirement_paths(listing)
    here = {settings(folder)["project"]["name"] for folder in folders}
    for folder in folders:
        for requirement in settings(folder)["project"]["dependencies"]:
            match = REQUIREMENT.match(requirement)
            assert match is None or match[1] in here


@pytest.mark.parametrize("name", NAMES)
def test_a_pin_on_ours_stays_within_one_major_version(name: str) -> None:
    project = settings(NAMES[name])["project"]
    extras = [line for extra in project.get("optional-dependencies", {}).values() for line in extra]
    for requirement in [*project["dependencies"], *extras]:
        match = REQUIREMENT.match(requirement)
        assert match is None or match[3] == ">=0.1,<1"


@pytest.mark.parametrize("listing", ["starter.txt", "all.txt"])
def test_pip_resolves_every_one_of_ours_from_the_checkout(listing: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    pip = (sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed")
    offline = ("--no-deps", "--no-index", "--no-build-isolation")
    run(*pip, *offline, "--report", report, "-r", ROOT / listing, cwd=ROOT)
    resolved = {
        item["metadata"]["name"]: item["download_info"]["url"]
        for item in json.loads(report.read_text())["install"]
    }
    assert set(resolved) == {settings(f)["project"]["name"] for f in requirement_paths(listing)}
    for name, url in resolved.items():
        assert url == NAMES[name].resolve().as_uri()


def test_wheels_alone_tell_their_version(environment: Path) -> None:
    assert "0.1.0" in covenue(environment, "--version")


def test_wheels_alone_list_every_plugin(environment: Path) -> None:
    told = covenue(environment, "plugins", "list", "--json")
    assert {name for name in NAMES if NAMES[name].parent.name == "plugins"} <= set(
        re.findall(r"covenue-[a-z-]+", told)
    )


def test_wheels_alone_run_the_demo(environment: Path) -> None:
    out = environment / "outside" / "demo"
    told = json.loads(covenue(environment, "demo", "--json", "--out", str(out)))
    assert told["status"] == "ok"
    assert told["replay"] == "identical"
    assert told["parties"] == 3
    assert Path(told["ledger"]).is_relative_to(out.resolve())
