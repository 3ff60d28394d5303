"""A still engine at which people can ask for actions and decide: it records what it was asked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from console.errors import ActionError
from console.model.guard import (
    BREAK_GLASS,
    ONE_THEN_RATIFY,
    TWO_BEFORE,
    About,
    ActionAbout,
    ActiveView,
    Ask,
    Custody,
    Draft,
    Field,
    GuardView,
    Outcome,
    Preview,
    Prompt,
    RequestView,
    TargetPreview,
)
from console.model.view import HostView
from tests.support.still_engine import StillEngine

ISOLATE = About(
    words="cut the host off from everything but the management networks",
    direction="contain", inverse="release", dead_man="kernel", high_risk=True, ratify=True,
    break_glass=True,
)  # fmt: skip
DELETE = About(words="destroy a model or data", direction="destroy", high_risk=True,
               starter="requester", long=True)  # fmt: skip
RELEASE = About(words="end what stands", direction="open", dead_man="timer", high_risk=True)
BLOCK = About(words="drop everything from an address", direction="contain", inverse="release",
              dead_man="kernel")  # fmt: skip
ACTIONS = (
    ActionAbout(
        name="isolate", about=ISOLATE, modes=(TWO_BEFORE, ONE_THEN_RATIFY, BREAK_GLASS),
        fields=(
            Field(name="mgmt", kind="list", words="networks that may still reach SSH",
                  default="10.0.0.0/8"),
            Field(name="confirm_s", kind="number", words="seconds until it is undone",
                  default="60"),
        ),
    ),
    ActionAbout(name="release", about=RELEASE, fields=(Field(name="id", words="its id"),)),
    ActionAbout(
        name="block-source", about=BLOCK, fields=(Field(name="source", words="an address"),)
    ),
    ActionAbout(
        name="secure-delete", about=DELETE, fields=(Field(name="path", words="what"),
        Field(name="kind", kind="choice", words="what it is", choices=("file", "folder"))),
    ),
    ActionAbout(name="install-policy", about=About(words="replace the policy"),
                why_not="anna may not request install-policy"),
)  # fmt: skip
WORDS = "amber basin cedar delta ember fjord"
RID = "ab" * 32
GUARD = "1" * 32


class ActingEngine(StillEngine):
    """Implements ``Guarding``; every call is in ``asked``. ``refuse`` names hosts that refuse."""

    def __init__(self, *hosts: HostView, why_not: str = "") -> None:
        pinned = (
            msgspec.structs.replace(
                host, spec=msgspec.structs.replace(host.spec, guard_id=host.spec.guard_id or GUARD)
            )
            for host in hosts
        )
        super().__init__(*pinned)
        self.why_not = why_not
        self.refuse: dict[str, tuple[str, str, str]] = {}  # rule, words, hint by host
        self.trouble: dict[str, str] = {}  # hosts that cannot be targets, and why
        self.says: tuple[tuple[str, str], ...] = (("is cut off", "1 login of ben"),)
        self.risks: tuple[str, ...] = ()
        self.prompt: Prompt | None = None
        self.answers: list[str | None] = []

    def may_act(self) -> str:
        return self.why_not

    def actions(self, host: str) -> tuple[ActionAbout, ...]:
        return ACTIONS

    async def preview(
        self, hosts: Sequence[str], action: str, params: Mapping[str, Any]
    ) -> Preview:
        self.asked.append(("preview", *hosts, action, *(f"{k}={v}" for k, v in params.items())))
        if params.get("source") == "nonsense":
            raise ActionError("source is no address", rule="parameters")
        now = int(time.time())
        targets = tuple(
            TargetPreview(host=host, trouble=self.trouble[host], hint="Look at it.")
            if host in self.trouble
            else TargetPreview(host=host, host_id="1" * 32, effector="real", now=now,
                               effect=(f"load a table of packet rules on {host}",),
                               host_says=self.says, confirm_s=60, plan="p", binding="{}")
            for host in hosts
        )  # fmt: skip
        about = next(each.about for each in ACTIONS if each.name == action)
        return Preview(
            action=action, about=about, params="{}", shown=tuple(params.items()), targets=targets,
            requester="anna", workstation="desk-of-anna", modes=(TWO_BEFORE, ONE_THEN_RATIFY),
            not_before=now, expires=now + 300, risks=self.risks,
        )  # fmt: skip

    def draft(self, preview: Preview, reason: str, mode: str) -> Draft:
        hosts = tuple(each.host for each in preview.usable)
        return Draft(id=RID, words=WORDS, data=b"{}", hosts=hosts)

    async def _answer(self, what: str, hosts: Sequence[str], ask: Ask, *said: str) -> list[Outcome]:
        if self.prompt is not None:
            self.answers.append(await ask(self.prompt))
        self.asked.append((what, *hosts, *said))
        out = []
        for host in hosts:
            if host in self.refuse:
                rule, words, hint = self.refuse[host]
                out.append(Outcome(host=host, ok=False, rule=rule, words=words, hint=hint))
            else:
                out.append(Outcome(host=host, ok=True, id=RID, state="PENDING"))
        return out

    def prepare(self, hosts: Sequence[str]) -> None:
        self.asked.append(("prepare", *hosts))

    async def submit(self, preview: Preview, reason: str, mode: str, ask: Ask) -> list[Outcome]:
        hosts = [each.host for each in preview.usable]
        left = [Outcome(host=each.host, ok=False, rule="target", words=each.trouble)
                for each in preview.targets if each.trouble]  # fmt: skip
        return await self._answer("submit", hosts, ask, preview.action, mode, reason) + left

    async def decide(
        self, hosts: Sequence[str], request: str, approve: bool, comment: str, ask: Ask,
        unseen: Sequence[str] = (),
    ) -> list[Outcome]:  # fmt: skip
        more = [f"unseen {name}" for name in unseen]
        return await self._answer(
            "approve" if approve else "deny", hosts, ask, request, comment, *more
        )

    async def cancel(
        self, hosts: Sequence[str], request: str, comment: str, ask: Ask
    ) -> list[Outcome]:
        return await self._answer("cancel", hosts, ask, request, comment)

    async def begin(self, hosts: Sequence[str], request: str, ask: Ask) -> list[Outcome]:
        return await self._answer("begin", hosts, ask, request)

    async def review(
        self, hosts: Sequence[str], request: str, comment: str, ask: Ask
    ) -> list[Outcome]:
        return await self._answer("review", hosts, ask, request, comment)

    async def release(
        self, hosts: Sequence[str], request: str, reason: str, ask: Ask
    ) -> list[Outcome]:
        return await self._answer("release", hosts, ask, request, reason)

    async def fetch(self, host: str, request: str, folder: Path, ask: Ask) -> Custody:
        self.asked.append(("fetch", host, request, str(folder)))
        return Custody(host=host, host_id="h", id=request, by="anna", workstation="desk", at=0.0,
                       size=1, sha256="ab" * 32, signed_by="SHA256:x", file="pack")  # fmt: skip

    def requests(self) -> tuple[RequestView, ...]:
        guards = [view.guard for view in self.snapshot().hosts if view.guard is not None]
        return tuple(each for guard in guards for each in guard.requests)

    def done(self, *what: str) -> list[tuple[str, ...]]:
        """What was asked of these kinds."""
        return [call for call in self.asked if call[0] in what]

    def guard(self, host: str, **changes: Any) -> None:
        """Another picture in which the guard of ``host`` is otherwise."""
        hosts = []
        for each in self.snapshot().hosts:
            if each.name == host:
                guard = msgspec.structs.replace(each.guard or guard_view(), **changes)
                each = msgspec.structs.replace(each, guard=guard)
            hosts.append(each)
        self.show(*hosts)


class SeatedEngine(ActingEngine):
    """One at which several people take turns."""

    def people(self) -> tuple[str, ...]:
        return ("anna", "ben")

    def act_as(self, name: str) -> str:
        self.asked.append(("act_as", name))
        return ""


def guard_view(**more: Any) -> GuardView:
    """A guard in order, with nothing going on."""
    whole: dict[str, Any] = {
        "host_id": "1f" * 16, "effector": "real", "guard": "ab" * 32, "guard_known": "real",
        "roster": "cd" * 32, "policy": "ef" * 32, "serials": (3, 7), "roster_ok": "same",
        "policy_ok": "same", "checkpoint": 1234,
    }  # fmt: skip
    return GuardView(**(whole | more))


def request_view(host: str = "gpu01", **more: Any) -> RequestView:
    """A request of anna that this console has verified and whose person may approve it."""
    now = time.time()
    whole: dict[str, Any] = {
        "id": RID, "words": WORDS, "host": host, "hosts": (host,), "action": "isolate",
        "about": ISOLATE, "parameters": (("management networks", "10.0.0.0/8"),
                                         ("undone after", "60 s")),
        "effect": ("load a table of packet rules", "end connections: all but SSH"),
        "host_says": (("is cut off", "1 login of ben"), ("cannot be closed", "InfiniBand ib0")),
        "requester": "anna", "may_be_approved_by": ("ben", "cara"), "received_at": now,
        "expires_at": now + 240, "workstation": "desk-of-anna", "verified": True,
        "may_approve": True, "reason": "it sends our weights to 203.0.113.9",
    }  # fmt: skip
    return RequestView(**(whole | more))


def active_view(host: str = "gpu01", **more: Any) -> ActiveView:
    """An isolation that stands."""
    whole: dict[str, Any] = {
        "id": RID, "host": host, "action": "isolate", "words": WORDS, "about": ISOLATE,
        "parameters": (("management networks", "10.0.0.0/8"),), "state": "STANDING",
        "mode": TWO_BEFORE, "requester": "anna", "approvers": ("ben",),
        "since": time.time() - 600,
    }  # fmt: skip
    return ActiveView(**(whole | more))
