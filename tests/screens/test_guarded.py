"""From a form to a signature and what came of it: what must be seen, and what must not sign."""

from __future__ import annotations

import time
from typing import Any

import pytest
from textual.pilot import Pilot

from console.model.guard import Prompt
from console.tui.app import ConsoleApp
from console.tui.control.actions import ACTIONS, Mode
from console.tui.safe import SCROLLBAR
from console.tui.screens.answers import AnswersScreen
from console.tui.screens.form import FormScreen
from console.tui.screens.modal import HelpScreen
from console.tui.screens.request import RequestScreen
from console.tui.screens.requests import RequestsScreen
from console.tui.screens.sign import PromptScreen, SignScreen
from tests.screens.conftest import acting, make_app, settle, text
from tests.support.acting_engine import (
    RID,
    ActingEngine,
    SeatedEngine,
    active_view,
    guard_view,
    request_view,
)
from tests.support.attacks import hidden
from tests.support.still_engine import view

TYPED = "[red]owned[/] [@click=app.exit]press[/] [bold"
HOSTILE = f"{TYPED} \x1b]8;;http://evil.example\x1b\\here \x1b]52;c;cHduZWQ=\x07"
ASKED = "act isolate gpu01 reason=weights leave"


def engine(*names: str, kind: type[ActingEngine] = ActingEngine) -> ActingEngine:
    hosts = [view(name, guard=guard_view()) for name in names or ("gpu01", "gpu02", "gpu03")]
    return kind(*hosts)


class Seat:
    """Somebody at the terminal."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await settle(self.pilot)

    async def type(self, command: str) -> None:
        await self.press("colon", *command, "enter")
        await self.until(lambda: not self.app.workers or True)

    async def until(self, true: Any) -> None:
        for _ in range(300):
            if true():
                return
            await self.pilot.pause(0.01)
        raise AssertionError(self.shown)

    async def signing(self) -> SignScreen:
        await self.until(lambda: isinstance(self.app.screen, SignScreen))
        screen = self.app.screen
        assert isinstance(screen, SignScreen)
        await self.until(lambda: screen._painted)
        return screen

    async def to_the_end(self) -> None:
        screen = await self.signing()
        for _ in range(60):
            if screen._end_seen:
                return
            await self.press("pagedown")
        raise AssertionError(self.shown)

    async def open(self, host: str = "gpu01") -> RequestScreen:
        self.app.open_request(host, RID)
        await settle(self.pilot)
        screen = self.app.screen
        assert isinstance(screen, RequestScreen)
        return screen

    @property
    def shown(self) -> str:
        return text(self.app)


async def test_nothing_signs_but_the_word() -> None:
    """Esc, Enter, another word: nothing is sent. A word that was pasted is as good as typed.

    Threats: 51.
    """
    made = engine()
    app = make_app(made)
    async with app.run_test(size=(120, 40)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.type(ASKED)
        await seat.to_the_end()
        await seat.press("enter")
        await seat.press(*"gpu02", "enter")
        assert "Not signed: that is not the host's name" in seat.shown
        assert isinstance(app.screen, SignScreen)
        await seat.press("escape")
        assert not made.done("submit")
        assert "nothing was signed" in seat.shown
        await seat.type(ASKED)
        screen = await seat.signing()
        await seat.to_the_end()
        screen._typed.insert_text_at_cursor("gpu01")
        await seat.press("enter")
        await seat.until(lambda: made.done("submit"))
        assert made.done("submit")[0][-2:] == ("two_before", "weights leave")


async def test_the_end_must_be_seen_at_this_size() -> None:
    """The reason is so long that the parameters scroll off; another size asks for a new look.

    Threats: 46.
    """
    made = engine()
    app = make_app(made)
    reason = "long " * 95
    async with app.run_test(size=(80, 24)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        made.guard("gpu01", requests=(request_view(reason=reason.strip()),))
        await seat.open()
        await seat.press("a")
        screen = await seat.signing()
        first = seat.shown.splitlines()
        assert any("management networks" in line for line in first[:6]), "parameters first"
        assert "Scroll down to the end" in seat.shown
        await seat.press(*"gpu01", "enter")
        assert "Not signed: the end was not shown yet" in seat.shown
        assert not made.done("approve")
        await seat.to_the_end()
        assert seat.shown.count("long") > 20, "the reason comes last"
        await pilot.resize_terminal(70, 20)
        await pilot.pause()
        assert not screen._end_seen
        await seat.press(*"gpu01", "enter")
        assert not made.done("approve")
        await seat.to_the_end()
        await seat.press(*"gpu01", "enter")
        await seat.until(lambda: made.done("approve"))


async def test_keys_typed_ahead_sign_nothing() -> None:
    made = engine()
    made.guard("gpu01", requests=(request_view(),))
    app = make_app(made)
    async with app.run_test(size=(120, 50)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.open()
        screen_of = app.push_screen_wait

        async def quick(screen: Any, *args: Any, **more: Any) -> Any:
            app.simulate_key("enter")
            return await screen_of(screen, *args, **more)

        app.push_screen_wait = quick  # type: ignore[method-assign]  # typed before it is painted
        await seat.press("a")
        screen = await seat.signing()
        screen._painted = False
        screen._typed.value = "gpu01"
        screen.on_input_submitted(screen._typed.Submitted(screen._typed, "gpu01"))
        assert not made.done("approve")
        screen._first_paint()
        assert screen._typed.value == "", "what was typed before the first paint is gone"
        await seat.press("enter")
        assert not made.done("approve")


async def test_a_sign_screen_that_another_covers_still_gets_painted() -> None:
    made = engine()
    made.guard("gpu01", requests=(request_view(),))
    app = make_app(made)
    async with app.run_test(size=(120, 50)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.open()
        await pilot.press("a")
        await seat.until(lambda: isinstance(app.screen, SignScreen))
        screen = app.screen
        assert isinstance(screen, SignScreen)
        app.push_screen(HelpScreen(app.look, ("app",), app.keys))
        await seat.until(lambda: isinstance(app.screen, HelpScreen))
        screen._painted = False
        await pilot.pause(0.4)
        assert not screen._painted, "nobody has seen it"
        await pilot.press("escape")
        await seat.until(lambda: screen._painted)


async def test_no_action_approves_several_requests() -> None:
    """Threats: 51."""
    approving = [action for action in ACTIONS if "approv" in action.words + action.verb]
    assert [each.id for each in approving if each.risk == "act"] == [
        "request.approve", "request.start",
    ]  # fmt: skip
    assert all(action.asks for action in ACTIONS if action.risk == "act"
               and action.where == "request")  # fmt: skip
    assert not [a for a in ACTIONS if a.where in ("requests", "table") and a.risk == "act"]


async def test_one_request_on_many_hosts_takes_their_group_and_how_many() -> None:
    made = engine("gpu01", "gpu02", "gpu03")
    hosts = ("gpu01", "gpu02", "gpu03")
    for name in hosts[:2]:
        made.guard(name, requests=(request_view(name, hosts=hosts),))
    made.guard(
        "gpu03",
        requests=(request_view("gpu03", hosts=hosts, may_approve=False, why_not="it is not LIVE"),),
    )
    app = make_app(made)
    async with app.run_test(size=(120, 60)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.open()
        await seat.press("a")
        await seat.signing()
        assert "effect on gpu02, worked out here" in seat.shown
        assert "left out" in seat.shown
        assert "it is not LIVE" in seat.shown
        await seat.to_the_end()
        assert "to sign: hosts 3" in seat.shown, "it counts on all targets"
        made.refuse["gpu02"] = ("no-request", "no such pending request", "It may be over.")
        await seat.press(*"hosts 3", "enter")
        await seat.until(lambda: isinstance(app.screen, AnswersScreen))
        assert made.done("approve") == [("approve", "gpu01", "gpu02", RID, "")]
        assert "refused [no-request]: no such pending request" in seat.shown
        assert "It may be over." in seat.shown


async def test_a_request_that_is_cancelled_while_somebody_reads() -> None:
    """What is seen says so; and where it is not seen yet, the host's own answer is told.

    Threats: 52.
    """
    made = engine()
    made.guard("gpu01", requests=(request_view(),))
    app = make_app(made)
    async with app.run_test(size=(120, 50)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.open()
        await seat.press("a")
        await seat.to_the_end()
        made.refuse["gpu01"] = ("no-request", "no such pending request", "It was withdrawn.")
        await seat.press(*"gpu01", "enter")
        await seat.until(lambda: isinstance(app.screen, AnswersScreen))
        assert "no such pending request" in seat.shown
        await seat.press("escape")
        calls = len(made.done("approve"))
        await seat.press("a")
        await seat.to_the_end()
        made.guard("gpu01", requests=())
        await seat.until(lambda: "It cannot be signed any more" in seat.shown)
        await seat.press(*"gpu01", "enter")
        assert isinstance(app.screen, SignScreen)
        assert len(made.done("approve")) == calls, "nothing is kept for later"


async def test_what_is_not_verified_is_not_approved() -> None:
    """No approval is offered, and the page says why; what the host says is marked so.

    Threats: 47, 48, 49.
    """
    made = engine()
    bad = request_view(
        verified=False, may_approve=False, why_not="x", why_not_verified="the signature is of "
        "another request",
    )  # fmt: skip
    made.guard("gpu01", requests=(bad,))
    app = make_app(made)
    async with app.run_test(size=(120, 50)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.press("R")
        assert "unproven" in seat.shown
        await seat.press("enter")
        assert "NOT VERIFIED, so nobody can approve it here: the signature is of" in seat.shown
        assert "approve" not in seat.shown.splitlines()[-1], "the footer offers none"
        await seat.press("a")
        assert isinstance(app.screen, RequestScreen)
        assert not made.done("approve")
        assert "gpu01 says, and nobody checks it" in seat.shown
        assert "effect on gpu01, worked out here" in seat.shown


@pytest.mark.parametrize("where", ["request", "requests", "sign", "preview", "form", "answers",
                                   "prompt", "overview", "active"])  # fmt: skip
async def test_hostile_text_is_text(where: str) -> None:
    """In every widget of these screens it stands there as it was written.

    Threats: 45.
    """
    made = engine()
    pairs = ((HOSTILE, HOSTILE),)
    asked = request_view(
        reason=HOSTILE, parameters=pairs, host_says=pairs, effect=(HOSTILE,), requester=HOSTILE,
        workstation=HOSTILE, words=HOSTILE, action=HOSTILE, why_not=HOSTILE,
    )  # fmt: skip
    active = active_view(id="cd" * 32, why=HOSTILE, result=pairs, progress=HOSTILE, words=HOSTILE,
                         parameters=pairs, action=HOSTILE)  # fmt: skip
    made.guard("gpu01", requests=(asked,), active=(active,), trouble=HOSTILE, isolation=HOSTILE)
    made.says, made.risks = pairs, (HOSTILE,)
    made.prompt = Prompt(kind="pin", text=HOSTILE, key=HOSTILE)
    made.refuse["gpu01"] = (HOSTILE, HOSTILE, HOSTILE)
    app = make_app(made)
    async with app.run_test(size=(200, 70)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        if where == "requests":
            await seat.press("R")
        elif where in ("request", "sign"):
            await seat.open()
            if where == "sign":
                await seat.press("a")
                await seat.signing()
        elif where == "active":
            app.open_request("gpu01", "cd" * 32)
        elif where == "overview":
            app.open_host("gpu01")
        elif where == "form":
            await seat.type(f"act block-source gpu01 source={TYPED.split()[0]}")
            await seat.until(lambda: isinstance(app.screen, FormScreen))
        else:
            await seat.type(f"act isolate gpu01 reason={TYPED}")
            await seat.signing()
            if where in ("prompt", "answers"):
                await seat.to_the_end()
                await seat.press(*"gpu01", "enter")
                await seat.until(lambda: isinstance(app.screen, PromptScreen))
            if where == "answers":
                await seat.press(*"1234", "enter")
                await seat.until(lambda: isinstance(app.screen, AnswersScreen))
        await settle(pilot)
        assert "[red]owned" in seat.shown
        assert not hidden(seat.shown)
        assert acting(app) <= SCROLLBAR
        assert app.is_running


async def test_a_form_says_what_is_wrong_and_keeps_what_was_typed() -> None:
    made = engine()
    app = make_app(made)
    async with app.run_test(size=(80, 24)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.type("act block-source gpu01 source=nonsense reason=x")
        await seat.until(lambda: isinstance(app.screen, FormScreen))
        assert "source is no address" in seat.shown
        assert "nonsense" in seat.shown
        await seat.press("escape")
        made.trouble["gpu01"] = "no answer from its guard"
        await seat.type(ASKED)
        await seat.until(lambda: isinstance(app.screen, FormScreen))
        assert "gpu01: no answer from its guard" in " ".join(seat.shown.split())
        assert not made.done("submit")


async def test_hosts_that_are_left_out_are_named() -> None:
    made = engine()
    made.trouble["gpu02"] = "another guard than the pinned one speaks"
    app = make_app(made)
    async with app.run_test(size=(120, 60)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.type("act isolate gpu0[12] reason=x")
        await seat.signing()
        assert "1 LEFT OUT" in seat.shown
        assert "left out: another guard than the pinned one speaks. Look at it." in seat.shown
        await seat.to_the_end()
        await seat.press(*"gpu01", "enter")
        await seat.until(lambda: isinstance(app.screen, AnswersScreen))
        assert made.done("submit")[0][1] == "gpu01"
        assert "left out: another guard" in seat.shown


async def test_the_form_asks_for_what_is_missing_only() -> None:
    made = engine()
    app = make_app(made)
    async with app.run_test(size=(100, 30)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.type("act isolate gpu01 confirm_s=90")
        await seat.until(lambda: isinstance(app.screen, FormScreen))
        assert "90" in seat.shown
        await seat.press("enter")
        assert "reason is still empty" in seat.shown
        await seat.press(*"why", "enter")
        await seat.signing()
        assert made.done("preview")[-1][-1] == "confirm_s=90"


async def test_tab_completes_actions_hosts_and_fields() -> None:
    app = make_app(engine())
    async with app.run_test(size=(100, 30)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        assert app.complete_act("iso") == ["isolate"]
        assert app.complete_act("isolate gpu0") == [f"isolate gpu0{n}" for n in (1, 2, 3)]
        assert app.complete_act("isolate gpu01 co") == ["isolate gpu01 confirm_s="]
        assert app.complete_act("isolate gpu01 mode=b") == ["isolate gpu01 mode=break_glass"]
        assert app.complete_act("isolate gpu01 reason=x g") == []
        await seat.press("colon", *"act iso", "tab")
        assert ":act isolate" in seat.shown


async def test_the_key_asks_and_its_prompt_leaves_by_itself() -> None:
    made = engine()
    made.prompt = Prompt(kind="passphrase", text="Enter passphrase", key="/keys/anna")
    app = make_app(made)
    async with app.run_test(size=(100, 40)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.type(ASKED)
        await seat.to_the_end()
        await seat.press(*"gpu01", "enter")
        await seat.until(lambda: isinstance(app.screen, PromptScreen))
        await seat.press(*"hunter2")
        assert "hunter2" not in seat.shown
        await seat.press("enter")
        await seat.until(lambda: made.answers == ["hunter2"])
        await seat.until(lambda: isinstance(app.screen, RequestsScreen))


# -- who is told


async def test_whoever_may_approve_is_told_at_once_on_every_view() -> None:
    made = engine()
    app = make_app(made)
    async with app.run_test(size=(100, 30)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        rung: list[float] = []
        app.bell = lambda: rung.append(time.time())  # type: ignore[method-assign]
        made.guard("gpu01", requests=(request_view(expires_at=time.time() + 58.5),))
        made.tell("guard.approval-wanted", "gpu01", RID, action="isolate", requester="anna")
        await seat.until(lambda: "R: isolate gpu01 wants you, 58s left" in seat.shown)
        for key in ("E", "H", "R"):
            await seat.press(key)
            await seat.until(lambda: "isolate gpu01 wants you" in seat.shown)
        app.open_host("gpu02")
        await seat.until(lambda: "isolate gpu01 wants you" in seat.shown)
        made.tell("guard.approval-wanted", "gpu02", RID, action="isolate", requester="anna")
        await settle(pilot)
        assert len(rung) == 1
        made.guard("gpu01", requests=())
        await seat.until(lambda: "wants you" not in seat.shown)


@pytest.mark.parametrize("mode", [Mode.READ_ONLY, Mode.WALL])
async def test_a_console_that_cannot_act_still_tells(mode: Mode) -> None:
    made = engine()
    made.guard("gpu01", requests=(request_view(may_approve=False, why_not="it is read-only"),))
    made.tell("guard.approval-wanted", "gpu01", RID, action="isolate", requester="anna")
    app = make_app(made, mode=mode)
    async with app.run_test(size=(100, 30)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        if mode is Mode.WALL:
            from console.tui.control.trail import Place

            app.go(Place("wall"))
            await seat.until(lambda: "isolate gpu01 waits for another person" in seat.shown)
            return
        await seat.until(lambda: "isolate gpu01 wants you" in seat.shown)
        await seat.press("exclamation_mark")
        assert "this console is read-only: it does not ask the host" in seat.shown
        await seat.press("R", "enter")
        assert isinstance(app.screen, RequestScreen)
        await seat.press("a")
        assert "this console is read-only" in seat.shown
        assert not made.done("approve", "preview")
        made.guard("gpu01", requests=(request_view(may_approve=False, approved_by=("ben",)),))
        await seat.until(lambda: "wants you" not in seat.shown)


async def test_lost_isolation_and_break_glass_stand_on_every_view() -> None:
    made = engine()
    made.guard("gpu02", active=(active_view("gpu02", holds=False),))
    made.guard("gpu03", unreviewed=(("cara", "ee" * 32),))
    app = make_app(made)
    async with app.run_test(size=(100, 30)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        for key in ("", "E", "R"):
            await seat.press(*([key] if key else []))
            await seat.until(lambda: "ISOLATION LOST on gpu02: open again" in seat.shown)
            assert "BREAK-GLASS by cara on gpu03" in seat.shown
        made.guard("gpu02", active=())
        made.guard("gpu03", unreviewed=())
        await seat.until(lambda: "ISOLATION LOST" not in seat.shown)
        assert "BREAK-GLASS" not in seat.shown


async def test_who_sits_here() -> None:
    made = engine(kind=SeatedEngine)
    app = make_app(made)
    async with app.run_test(size=(100, 30)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.type("operator")
        assert "anna sits here" in seat.shown
        await seat.type("operator eve")
        assert "nobody here is called eve" in seat.shown
        await seat.type("operator ben")
        assert made.done("act_as") == [("act_as", "ben")]
        assert "ben sits here now" in seat.shown


async def test_why_nothing_can_be_signed_is_said() -> None:
    made = ActingEngine(view("gpu01", guard=guard_view()), why_not="[operator] names no person")
    app = make_app(made)
    async with app.run_test(size=(100, 30)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.press("exclamation_mark")
        assert "[operator] names no person" in seat.shown
