"""What a host is checked against: its own pins and those of the jump hosts on its way."""

from __future__ import annotations

from console.fleet.trusted import Trusted
from console.model.host import Host


def host(name: str, pin: str, *jump: str) -> Host:
    return Host(name=name, address="192.0.2.1", host_key=(pin,), jump=jump)


def test_a_new_pin_of_a_jump_host_is_another_way_for_all_behind_it() -> None:
    start = [host("a", "A", "jump"), host("b", "B", "jump"), host("jump", "J1", "outer")]
    known = {item.name: item for item in [*start, host("outer", "O1")]}
    stored = dict(known)
    trusted = Trusted(known, stored.get)
    before = {name: trusted.pins(known[name]) for name in "ab"}
    assert trusted.renew(known["a"]) == start[0]
    assert trusted.pins(known["a"]) == before["a"]
    stored["outer"] = host("outer", "O2")
    for name in "ab":
        fresh = trusted.renew(known[name])
        assert fresh is not None
        assert trusted.pins(fresh) != before[name]
    assert known["outer"].host_key == ("O2",), "the transports look it up here"


def test_without_a_way_to_read_anew_nothing_changes() -> None:
    trusted = Trusted({})
    assert trusted.renew(host("a", "A")) == host("a", "A")


def test_a_loop_of_jump_hosts_ends_and_a_host_that_is_gone_is_none() -> None:
    known = {"a": host("a", "A", "b"), "b": host("b", "B", "a")}
    assert Trusted(known).pins(known["a"]) == (("A",), (), ("B",), ())
    assert Trusted(known, lambda name: None).renew(known["a"]) is None
