"""Documents of a host's guard: asked for, checked, bounded."""

from __future__ import annotations

import base64
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from console.fleet.guarddocs import AT_ONCE, MAX_DOCS, DocKeeper
from console.model.frame import GuardDoc, PendingDoc


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def named(*datas: bytes, kind: str = "request") -> tuple[PendingDoc, ...]:
    return tuple(PendingDoc(sha256=sha(data), size=len(data), kind=kind) for data in datas)


def reply(data: bytes, digest: str = "") -> GuardDoc:
    return GuardDoc(sha256=digest or sha(data), b64=base64.b64encode(data).decode())


def test_what_is_named_is_asked_for_once_and_kept_by_its_digest() -> None:
    keeper = DocKeeper()
    assert keeper.view() is None
    keeper.named(named(b"one"), "boot")
    assert keeper.wanted(0.0) == [sha(b"one")]
    assert keeper.wanted(1.0) == []
    view = keeper.view()
    assert view is not None
    assert (view.missing, view.boot_id) == (1, "boot")
    assert keeper.got(reply(b"one"))
    view = keeper.view()
    assert view is not None
    assert view.docs == (("request", sha(b"one"), b"one"),)
    assert keeper.view() is view
    keeper.named((), "boot")
    gone = keeper.view()
    assert gone is not None
    assert gone.docs == ()


def test_other_bytes_than_named_and_what_was_not_asked_for_are_not_taken() -> None:
    keeper = DocKeeper()
    keeper.named(named(b"one"), "boot")
    assert not keeper.got(reply(b"one"))  # not asked for yet
    keeper.wanted(0.0)
    assert not keeper.got(reply(b"two", sha(b"one")))
    assert not keeper.got(GuardDoc(sha256=sha(b"three"), b64="b25l"))
    view = keeper.view()
    assert view is not None
    assert view.docs == ()
    assert "could not be had" in view.trouble


def test_a_host_that_never_answers_is_not_asked_for_ever() -> None:
    keeper = DocKeeper()
    keeper.named(named(b"one"), "boot")
    asked = [digest for at in range(100) for digest in keeper.wanted(at * 60.0)]
    assert len(asked) == 3


def test_lists_are_bounded_and_said_to_be() -> None:
    keeper = DocKeeper()
    keeper.named(named(*(b"%d" % n for n in range(500))), "boot")
    view = keeper.view()
    assert view is not None
    assert view.missing == MAX_DOCS
    assert view.trouble
    assert len(keeper.wanted(0.0)) == AT_ONCE
    huge = PendingDoc(sha256="0" * 64, size=1 << 30, kind="request")
    keeper.named((huge,), "boot")
    assert keeper.wanted(100.0) == []


def test_the_older_state_stands_until_the_newer_is_here_and_a_request_does_not() -> None:
    keeper = DocKeeper()
    both = named(b"old", kind="state") + named(b"wish")
    keeper.named(both, "boot")
    keeper.wanted(0.0)
    keeper.got(reply(b"old"))
    keeper.got(reply(b"wish"))
    keeper.named(named(b"new", kind="state"), "boot")
    view = keeper.view()
    assert view is not None
    assert [data for _, _, data in view.docs] == [b"old"]
    keeper.wanted(1.0)
    keeper.got(reply(b"new"))
    view = keeper.view()
    assert view is not None
    assert [data for _, _, data in view.docs] == [b"new"]


@given(st.lists(st.tuples(st.binary(max_size=8), st.sampled_from(["request", "state", "x"]),
                          st.booleans()), max_size=30))  # fmt: skip
def test_whatever_comes_what_is_shown_was_named_and_has_its_digest(
    steps: list[tuple[bytes, str, bool]],
) -> None:
    keeper = DocKeeper()
    for at, (data, kind, answers) in enumerate(steps):
        keeper.named(named(data, kind=kind), "boot")
        keeper.wanted(at * 20.0)
        if answers:
            keeper.got(reply(data))
        view = keeper.view()
        assert view is not None
        assert all(sha(kept) == digest for _, digest, kept in view.docs)
        assert all(shown == "state" or kept == data for shown, _, kept in view.docs)
