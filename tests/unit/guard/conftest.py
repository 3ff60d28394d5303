"""Tests of the guard as a whole use the simulated build's steps."""

from pathlib import Path

import pytest

from tests.support.guardhost import Host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host where isolation may begin on one signature."""
    monkeypatch.setattr("console.hostside.guard.steps.EFFECTOR", "simulated")
    return Host(tmp_path)
