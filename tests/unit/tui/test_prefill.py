"""A form begins with what the row under the cursor says."""

from __future__ import annotations

import msgspec

from console.model.host import Host
from console.model.inventory import Inventory, KernelFacts
from console.model.tables import Flow, ModelVersion, Process
from console.model.view import HostView
from console.tui.screens.prefill import completed, prefilled

ROW = Process(
    4711, 1, 1001, "svc", 1_700_000_123.45, "vllm", "vllm serve", "R", 1.0, 10,
    cgroup="/system.slice/vllm.service", exe="/opt/vllm/bin/python",
)  # fmt: skip
VIEW = HostView(
    spec=Host(name="gpu01", address="192.0.2.1"), processes=(ROW,),
    inventory=Inventory(kernel=KernelFacts(boot_time=1_700_000_000.0)),
)  # fmt: skip
KNOWN = {"pid": "4711", "start_time": "12345", "exe": "/opt/vllm/bin/python"}


def test_a_process_says_its_number_start_and_program() -> None:
    assert prefilled("kill-process", ROW, VIEW) == KNOWN
    unseen = msgspec.structs.replace(ROW, exe=None)
    assert "exe" not in prefilled("kill-process", unseen, VIEW)
    bare = msgspec.structs.replace(VIEW, inventory=Inventory())
    assert "start_time" not in prefilled("kill-process", ROW, bare)


def test_a_number_alone_is_completed_from_the_process_table() -> None:
    assert completed("kill-process", {"pid": "4711"}, VIEW) == KNOWN
    assert completed("kill-process", {"pid": "5"}, VIEW) == {"pid": "5"}
    given = {"pid": "4711", "start_time": "1"}
    assert completed("kill-process", given, VIEW) is given


def test_other_rows_say_what_they_know() -> None:
    flow = Flow("k", "in", "203.0.113.9", 8000, 0, 4711, "vllm", 1, 0, 0, 0.0, 0.0)
    assert prefilled("block-source", flow, VIEW) == {"source": "203.0.113.9"}
    assert prefilled("kill-process", flow, VIEW) == KNOWN
    assert prefilled("stop-service", ROW, VIEW) == {"service": "vllm.service"}
    near = msgspec.structs.replace(flow, loopback=True)
    assert prefilled("block-source", near, VIEW) == {}
    model = ModelVersion("m/2", "m", "vllm", "vllm.service", "/srv", "2", True, 1, 1, 0.0)
    assert prefilled("quarantine-model", model, VIEW) == {"model": "m", "version": "2"}
    assert prefilled("isolate", ROW, VIEW) == {}
