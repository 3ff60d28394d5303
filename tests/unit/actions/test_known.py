"""What a console knows by itself of a request: its program, its life, its reason."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from console.actions.forms import fields, lifetime, typed
from console.actions.reasons import Reasons
from console.errors import ActionError
from console.hostside.guard.trust import canonical
from console.model.guard import About, ActiveView, GuardView, Preview

POLICY = {"services": ["vllm.service"], "api_ports": [8000], "mgmt_networks": ["10.0.0.0/8"]}
MADE = Preview(
    action="isolate", about=About(), params="{}", shown=(), targets=(), requester="anna",
    workstation="desk", modes=("two_before",), not_before=1000, expires=1000 + 1800,
)  # fmt: skip


@pytest.mark.parametrize("text", ["4", "61", "x", "5.5", "-5", "999999999"])
def test_a_request_lives_five_to_sixty_minutes(text: str) -> None:
    with pytest.raises(ActionError, match="5 to 60"):
        lifetime(MADE, text)


def test_a_request_lives_as_long_as_was_asked_for_and_never_longer_than_the_policy_has_it() -> None:
    assert lifetime(MADE, "") is MADE
    assert lifetime(MADE, " 10 ").expires == 1600
    with pytest.raises(ActionError, match="30 minutes"):
        lifetime(MADE, "31")


def test_services_of_the_policy_are_listed_and_others_refused_by_name() -> None:
    (field,) = fields("stop-service", POLICY)
    assert field.choices == ("vllm.service",)
    assert typed("stop-service", {"service": "vllm.service"}, POLICY) == {"service": "vllm.service"}
    with pytest.raises(ActionError, match=r"nginx\.service.*: vllm\.service"):
        typed("stop-service", {"service": "nginx.service"}, POLICY)


def test_the_program_of_a_process_may_be_left_to_the_host() -> None:
    values = typed("kill-process", {"pid": "7", "start_time": "9", "exe": ""}, POLICY)
    assert values == {"pid": 7, "start_time": 9}


def test_the_reason_of_what_has_ended_comes_from_what_was_sent_and_only_for_that_id() -> None:
    data = canonical.write({"reason": "weights leave", "not_before": 77})
    rid = hashlib.sha256(data).hexdigest()
    other = "ab" * 32
    calls: list[str] = []

    def sent(host: str) -> list[tuple[str, bytes]]:
        calls.append(host)
        return [(rid, data), (other, data)]

    reasons = Reasons(sent)
    view = GuardView(
        active=(ActiveView(id=other, host="gpu01"),), closed=(ActiveView(id=rid, host="gpu01"),)
    )
    told = reasons.told("gpu01", view, ())
    assert (told.closed[0].reason, told.closed[0].asked_at) == ("weights leave", 77.0)
    assert told.active == view.active, "bytes of another digest say nothing of it"
    again = reasons.told("gpu01", msgspec.structs.replace(view, checkpoint=2), ())
    assert again.closed[0].reason == "weights leave"
    assert calls == ["gpu01"]
