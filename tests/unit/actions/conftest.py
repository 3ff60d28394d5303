"""Hosts whose guards are called in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.actionhosts import Fleet


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """Two hosts with simulated guards."""
    monkeypatch.setattr("console.hostside.guard.steps.EFFECTOR", "simulated")
    return Fleet(tmp_path, "gpu01", "gpu02")
