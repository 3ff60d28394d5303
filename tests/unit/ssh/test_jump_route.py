"""The way to a host through jump hosts, from the inventory alone."""

import pytest

from console.errors import ConnectError
from console.model.host import Host
from console.ssh.jump import MAX_HOPS, route


def inventory(**jumps: tuple[str, ...]) -> dict[str, Host]:
    return {name: Host(name=name, address="x", jump=jump) for name, jump in jumps.items()}


@pytest.mark.parametrize(
    ("jumps", "expected"),
    [
        ({"t": ()}, []),
        ({"t": ("a",), "a": ()}, ["a"]),
        ({"t": ("a", "b"), "a": (), "b": ()}, ["a", "b"]),
        ({"t": ("b",), "b": ("a",), "a": ()}, ["a", "b"]),
        ({"t": ("a", "b"), "b": ("a",), "a": ()}, ["a", "b"]),
        ({"t": ("c",), "c": ("a", "b"), "b": (), "a": ()}, ["a", "b", "c"]),
    ],
)
def test_the_first_hop_is_reached_by_its_own_jump_hosts(
    jumps: dict[str, tuple[str, ...]], expected: list[str]
) -> None:
    known = inventory(**jumps)
    assert [hop.name for hop in route(known["t"], known)] == expected


@pytest.mark.parametrize(
    "jumps",
    [
        {"t": ("t",)},
        {"t": ("a",), "a": ("t",)},
        {"t": ("a", "a"), "a": ()},
        {"t": ("a",), "a": ("b",), "b": ("a",)},
        {"t": ("a",), "a": ("a",)},
    ],
)
def test_a_loop_is_refused_and_named(jumps: dict[str, tuple[str, ...]]) -> None:
    known = inventory(**jumps)
    with pytest.raises(ConnectError, match=r"form a loop: .*t"):
        route(known["t"], known)


def test_an_unknown_jump_host_is_named() -> None:
    known = inventory(t=("gone",))
    with pytest.raises(ConnectError, match="jump host gone is not in the inventory"):
        route(known["t"], known)


def test_a_chain_without_end_is_cut() -> None:
    count = MAX_HOPS + 3
    known = inventory(**{f"h{n}": (f"h{n + 1}",) for n in range(count)}, **{f"h{count}": ()})
    with pytest.raises(ConnectError, match=f"more than {MAX_HOPS}"):
        route(known["h0"], known)
