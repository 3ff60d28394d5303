"""From the state of one session to the immutable picture of its host."""

from typing import Any

import msgspec

from console.fleet.data import HostData
from console.model.host import Host, HostState
from console.model.link import LinkFacts
from console.model.view import HostView, LinkCount


class Status(msgspec.Struct):
    """What the session itself knows, beside what the host has told."""

    state: HostState = HostState.CONNECTING
    reason: str = ""
    since: float = 0.0
    frame_at: float | None = None
    retry_at: float | None = None
    skew: float | None = None
    link: LinkFacts | None = None
    focused: bool = False


def view(spec: Host, status: Status, data: HostData, counts: LinkCount, now: float) -> HostView:
    """The picture; rows of tables keep their identity while the table does not change."""

    def rows(name: str) -> tuple[Any, ...]:
        return data.rows(name, now)

    return HostView(
        spec=spec,
        state=status.state,
        reason=status.reason,
        since=status.since,
        frame_at=status.frame_at,
        retry_at=status.retry_at,
        clock_skew_s=status.skew,
        hello=data.hello,
        link=status.link,
        counts=counts,
        fast=data.fast,
        gpus=data.gpus(),
        summary=data.summary,
        focused=status.focused,
        processes=rows("procs"),
        listeners=rows("listen"),
        flows=rows("flows"),
        gpu_processes=rows("gpuprocs"),
        openers=rows("openers"),
        sessions=rows("sessions"),
        packages=rows("packages"),
        python=rows("pydists"),
        containers=rows("containers"),
        accounts=rows("accounts"),
        mounts=rows("mounts"),
        models=rows("models"),
        inventory=data.inventory,
        denied=data.denied,
        cost=data.cost,
    )
