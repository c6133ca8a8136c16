"""The page in a real browser: it renders under its own policy, and hostile text stays text."""

import shutil
import subprocess
from pathlib import Path

import pytest

from covenue.hooks.domains import Plot, Section
from covenue.reports import write_report

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium on PATH; `bash test.sh --system-packages` installs it"
)
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def browse(folder: Path, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder / 'profile'}",
        "--enable-logging=stderr",
        *options,
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def test_a_browser_renders_the_page_and_runs_none_of_its_text(tmp_path: Path) -> None:
    points = tuple(float(k) for k in range(30))
    plots = tuple(
        Plot(HOSTILE, kind, HOSTILE, HOSTILE, points, {HOSTILE: points, "b": points})
        for kind in ("line", "area", "bar")
    )
    hostile = Section(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, (HOSTILE,), ((HOSTILE,),), plots)
    page = write_report(tmp_path / "out", "A plan", {"fact": HOSTILE}, [hostile])
    told = browse(tmp_path, page, "--dump-dom")
    assert "<title>A plan</title>" in told.stdout
    assert told.stdout.count("<svg") == 3
    assert "What it does not prove" in told.stdout
    assert "CONSOLE" not in told.stderr


def test_without_the_policy_and_escaping_the_browser_would_run_it(tmp_path: Path) -> None:
    page = tmp_path / "raw.html"
    page.write_text(f"<!doctype html><title>A plan</title><p>{HOSTILE}</p>")
    assert "<title>owned</title>" in browse(tmp_path, page, "--dump-dom").stdout
