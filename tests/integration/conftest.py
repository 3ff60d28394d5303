"""What tests over a real sshd share: who logs in, and by which of the two transports."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sshd import KeyPair, make_key, need_openssh


@pytest.fixture
def user(tmp_path: Path) -> KeyPair:
    """The key of a user; the test is skipped where there is no OpenSSH."""
    need_openssh()
    return make_key(tmp_path / "user")


@pytest.fixture(params=["asyncssh", "openssh"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each transport in turn, as ``Host.transport`` names it."""
    name: str = request.param
    return name
