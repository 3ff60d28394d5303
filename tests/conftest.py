"""For every test: an environment of its own, and repeatable examples."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples on every machine, so that a red run is somebody's change and not the weather.
# WATCHFLOOR_HYPOTHESIS=explore looks for new ones.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("repeatable"), derandomize=False)
settings.load_profile(os.environ.get("WATCHFLOOR_HYPOTHESIS", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the text snapshots anew")


@pytest.fixture(autouse=True)
def _no_files_of_this_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing that a test does reads or writes configuration, state or keys of who runs it."""
    for name in [n for n in os.environ if n.startswith(("WATCHFLOOR_", "TEXTUAL", "SSH_"))]:
        monkeypatch.delenv(name)
    home = _home(tmp_path_factory)
    for name, folder in (
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_DATA_HOME", "data"),
    ):
        monkeypatch.setenv(name, str(home / folder))


def _home(factory: pytest.TempPathFactory) -> Path:
    home = factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    return home
