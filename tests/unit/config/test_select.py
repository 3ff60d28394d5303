"""Patterns that choose hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.config.select import select
from console.errors import UsageError
from console.model.host import Host
from tests.support.outcome import outcome


def host(name: str, **more: object) -> Host:
    return Host(name=name, address=name, **more)  # type: ignore[arg-type]  # a test's fields


HOSTS = (
    host("gpu1", site="fra", groups=("h100", "infer"), tags=("blue",), owner="ml"),
    host("gpu2", site="fra", groups=("h100",), environment="staging", risk="high"),
    host("gpu3", site="ams", groups=("a100",), tags=("blue", "old")),
    host("bastion", zone="dmz"),
)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("gpu2", "gpu2"),
        ("gpu2,gpu1", "gpu1 gpu2"),
        ("gpu[1-2]", "gpu1 gpu2"),
        ("gpu[2-9]", "gpu2 gpu3"),
        ("gpu*", "gpu1 gpu2 gpu3"),
        ("?pu1", "gpu1"),
        ("*", "gpu1 gpu2 gpu3 bastion"),
        ("@fra", "gpu1 gpu2"),
        ("@a100", "gpu3"),
        ("tag=blue", "gpu1 gpu3"),
        ("tag=o*", "gpu3"),
        ("group=infer", "gpu1"),
        ("site=ams bastion", "gpu3 bastion"),
        ("environment=staging", "gpu2"),
        ("risk=high", "gpu2"),
        ("owner=ml", "gpu1"),
        ("zone=dmz", "bastion"),
        ("site=", "bastion"),
        ("!gpu*", "bastion"),
        ("@fra,!gpu2", "gpu1"),
        ("!nobody", "gpu1 gpu2 gpu3 bastion"),
    ],
)
def test_a_pattern_names_hosts_in_inventory_order(pattern: str, names: str) -> None:
    assert [item.name for item in select(HOSTS, pattern)] == names.split()


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("gpu4", "gpu"),
        ("@fraa", "Did you mean '@fra'?"),
        ("sit=fra", "Did you mean 'site'?"),
        ("gpu[1-1000000]", "Write a smaller range."),
        ("", "Write '*' for all hosts."),
        (",,", "Write '*' for all hosts."),
        ("@", ""),
        ("gpu1,!@", ""),
        ("!", ""),
    ],
)
def test_a_pattern_that_names_nothing_is_refused(pattern: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(HOSTS, pattern)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


@given(st.text(alphabet="gpu12[]-,*?@!= tagsite\x1b\u202e", max_size=30))
def test_any_pattern_is_hosts_or_a_usage_error(pattern: str) -> None:
    chosen = outcome(lambda: select(HOSTS, pattern), UsageError)
    if isinstance(chosen, UsageError):
        assert not set(str(chosen)) & {"\x1b", "\u202e"}
        return
    assert [item for item in HOSTS if item in chosen] == list(chosen)
