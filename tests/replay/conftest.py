from pathlib import Path

import pytest
from tests.replay.tiny import Done, run_tiny


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The tiny run, once; nobody changes it: a test that does takes a copy (`moved`)."""
    return run_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def copy(done: Done, tmp_path: Path) -> Done:
    """The tiny run, copied with its data."""
    return done.moved(tmp_path)
