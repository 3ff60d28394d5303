"""Back, forward and the last view."""

from __future__ import annotations

from console.tui.control.trail import KEPT, Place, Trail

A, B, C = (Place(kind) for kind in ("fleet", "plot", "heat"))


def test_back_forward_and_what_is_ahead_after_a_new_visit() -> None:
    trail = Trail()
    assert trail.step(-1) is None
    for place in (A, B, C):
        trail.visit(place)
    assert trail.step(-1) == B
    assert trail.step(1) == C
    assert trail.step(1) is None
    assert (trail.step(-1), trail.step(-1), trail.step(-1)) == (B, A, None)
    trail.visit(C)
    assert trail.step(1) is None
    assert trail.last() == A


def test_a_change_of_tab_is_no_visit() -> None:
    trail = Trail()
    trail.visit(A)
    trail.visit(Place("host", ("gpu01", "overview")))
    trail.now(Place("host", ("gpu01", "gpus")))
    trail.visit(A)
    assert trail.last() == Place("host", ("gpu01", "gpus"))
    trail.visit(A)
    assert trail.last() == Place("host", ("gpu01", "gpus"))


def test_it_keeps_a_bounded_number() -> None:
    trail = Trail()
    for number in range(KEPT * 2):
        trail.visit(Place("host", (str(number),)))
    steps = 0
    while trail.step(-1):
        steps += 1
    assert steps == KEPT - 1
