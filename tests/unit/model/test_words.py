"""Several events in one sentence: it names all that it speaks of."""

from __future__ import annotations

from typing import Any

import pytest

from console.model.event import Event
from console.model.words import refusals, sentence, severity, share, span, together, utc


def event(kind: str, **facts: Any) -> Event:
    return Event(kind=kind, host="gw", at=1.0, facts=facts)


def test_refused_logins_of_several_users_name_them_newest_first() -> None:
    tried = [event("auth.failed", user=user, source="a") for user in ("root", "svc", "root")]
    assert together(tried) == "logins from a refused, 3 times, users root, svc"
    assert together(tried[:1]) == "login of root from a refused"
    assert refusals(9, "", [""]) == "logins from ? refused, 9 times, user ?"


def test_refused_logins_of_several_addresses_are_not_put_on_one() -> None:
    tried = [event("auth.failed", user="root", source=source) for source in "ab"]
    assert together(tried) == "login of root from b refused (and 1 more like it)"


def test_a_process_on_several_gpus_names_them_all() -> None:
    new = [event("gpu.process.new", gpu=gpu, pid=7, name="x", user="u") for gpu in (6, 5, 6)]
    assert together(new) == "new process on GPUs 5, 6: x (pid 7, u)"
    other = event("gpu.process.new", gpu=1, pid=8, name="y", user="u")
    assert together([*new, other]).endswith("GPU 1: y (pid 8, u) (and 3 more like it)")


def test_a_login_without_a_key_is_a_warning() -> None:
    assert severity(event("auth.accepted", method="password")) == "warn"
    assert severity(event("auth.accepted", method="publickey")) == "info"
    assert severity(event("auth.accepted", method="publickey", refused_before=1)) == "warn"
    assert severity(event("auth.sudo", doubted=True)) == "warn"
    assert severity(event("auth.sudo", doubted="")) == "info"


@pytest.mark.parametrize("odd", [[79], {"a": 1}, [[]], 1e308, None, True, "79"])
def test_no_fact_is_taken_on_trust(odd: Any) -> None:
    names = ("xid", "to", "pid", "gpu", "user", "source", "refused_before", "doubted", "method")
    for kind in ("kernel.xid", "host.state", "auth.accepted", "auth.sudo", "gpu.process.new"):
        strange = event(kind, **dict.fromkeys(names, odd))
        assert severity(strange) in ("info", "warn", "bad")
        assert sentence(strange)
        assert together([strange, strange])


def test_times_and_shares_that_are_none() -> None:
    assert utc(0) == "00:00:00"
    assert utc(1e18) == utc(float("nan")) == "--:--:--"
    assert utc(1e18, "%Y-%m-%d") == "--------"
    assert span(float("inf")) == span(float("nan")) == "-"
    assert share(1e19, 5e-324) is None
    assert share(1.0, 0.0) is share(None, 8.0) is share(1.0, float("inf")) is None
    assert share(1.0, 4.0) == 25.0
