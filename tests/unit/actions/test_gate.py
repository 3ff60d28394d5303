"""Whether anything may be signed from a console at all."""

from __future__ import annotations

from typing import Any

import pytest

from console.actions.gate import Situation, refusal, risks

READY = {"person": "alice", "signing_key": "/k/sign", "login_key": "/k/login"}
FORWARDED = {"SSH_AUTH_SOCK": "/tmp/ssh-XXXXabcd/agent.4711", "SSH_CONNECTION": "a 1 b 22"}


def rule(environ: dict[str, str] | None = None, **situation: Any) -> str:
    error = refusal(Situation(**{**READY, **situation}), environ or {})
    if error is None:
        return ""
    assert error.hint  # whoever is refused is told what to do
    return error.rule


def test_a_ready_operator_at_a_workstation_may_sign() -> None:
    assert rule() == ""


@pytest.mark.parametrize(
    ("situation", "wanted"),
    [
        ({"read_only": True}, "read-only"),
        ({"replay": True}, "replay"),
        ({"person": ""}, "operator"),
        ({"signing_key": ""}, "operator"),
        ({"login_key": ""}, "operator"),
        ({"chain_trouble": "a roster is missing"}, "chain"),
    ],
)
def test_each_reason_refuses_whatever_else_holds(situation: dict[str, Any], wanted: str) -> None:
    assert rule(**situation) == wanted
    assert rule(**situation, allow_ssh=True) == wanted


def test_a_forwarded_agent_and_an_ssh_session_refuse_unless_the_profile_allows_them() -> None:
    """Threats: 31."""
    assert rule(FORWARDED) == "agent"
    assert rule({"SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}) == "ssh"
    assert rule({"SSH_TTY": "/dev/pts/3"}) == "ssh"
    assert rule({"SSH_CONNECTION": ""}) == ""
    assert rule(FORWARDED, allow_ssh=True) == ""
    told = " ".join(risks(FORWARDED))
    assert "SSH session" in told
    assert "forwarded" in told


def test_an_agent_of_this_machine_is_said_but_refuses_nothing() -> None:
    """Threats: 31."""
    own = {"SSH_AUTH_SOCK": "/run/user/1000/keyring/ssh"}
    assert rule(own) == ""
    assert any("does not belong into it" in text for text in risks(own))
