"""What can happen to a simulated host: one function for each ``kind`` of ``incident.toml``.

A stage works on a ``SimState`` and, where it takes a host away, on the server of that host. Stages
that last return an iterator that is stepped once for each second of simulated time.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from console.demo.facts import pci
from console.demo.simulate import SimState
from console.model.tables import Flow, GpuProcess, Listener, Opener, Process, Session

Params = Mapping[str, Any]
Lasting = Iterator[None]


class Door(Protocol):
    """What a stage may do to the SSH server of a host."""

    def hush(self) -> None:
        """Keep the connections, send nothing more."""
        ...

    def vanish(self) -> None:
        """Break all connections and accept no new ones."""
        ...

    def change_key(self) -> None:
        """Break all connections; show another host key from now on."""
        ...


def brute_force(state: SimState, door: Door, params: Params) -> Lasting:
    """Failed logins, ``count`` of them over ``over_s`` seconds."""
    count, seconds = int(params["count"]), max(1, int(params["over_s"]))
    done = 0
    for second in range(1, seconds + 1):
        if not _reaches(state, str(params["source"])):
            return
        while done < count * second // seconds:
            user = params["users"][done % len(params["users"])]
            port = 40_000 + done * 17 % 20_000
            _login(state, "auth.failed", user, params["source"], port, "password")
            done += 1
        yield


def _reaches(state: SimState, source: str) -> bool:
    """Whether sshd of that host can be reached from ``source``."""
    return state.permits(Flow("", "in", source, 22, 0, None, "sshd", 1, 0, 0, 0.0, 0.0))


def _login(state: SimState, kind: str, user: str, source: str, port: int, method: str) -> None:
    word = "Accepted" if kind == "auth.accepted" else "Failed"
    state.emit(
        kind,
        user,
        user=user,
        source=source,
        port=port,
        method=method,
        message=f"{word} {method} for {user} from {source} port {port} ssh2",
    )


def login(state: SimState, door: Door, params: Params) -> None:
    """A login that is accepted, with a session and a command as root."""
    user, source = params["user"], params["source"]
    _login(state, "auth.accepted", user, source, 51_022, params["method"])
    key = f"c{88 + len(state.tables['sessions'])}"
    state.tables["sessions"][key] = Session(key, user, "pts/1", source, state.clock())
    command = params["command"]
    state.emit("auth.sudo", user, user=user, command=command, target="root", message="")


def _process(state: SimState, params: Params, *, cpu_pct: float, rss_mib: int) -> Process:
    exe = str(params.get("exe") or "/usr/bin/" + str(params["cmdline"]).split()[0])
    row = Process(
        state.pids.take(), 1, params["uid"], params["user"], state.clock(), params["name"][:15],
        params["cmdline"], "R", cpu_pct, rss_mib << 10, 4, "/user.slice/user-1004.slice", "", exe,
        exe_deleted=exe.startswith("/dev/shm"),  # noqa: S108 - where this intruder hides
    )  # fmt: skip
    state.tables["procs"][row.pid] = row
    state.emit(
        "process.new",
        str(row.pid),
        pid=row.pid,
        ppid=1,
        uid=row.uid,
        user=row.user,
        name=row.name,
        cmdline=row.cmdline,
        exe=exe,
    )
    return row


def new_listener(state: SimState, door: Door, params: Params) -> None:
    """A process that listens where nobody declared it."""
    process = _process(state, params, cpu_pct=0.4, rss_mib=6)
    address, port = params["address"], params["port"]
    key = f"tcp/{address}:{port}"
    seen = state.host.tier >= 2
    owner = (process.pid, process.name) if seen else (None, None)
    state.tables["listen"][key] = Listener(key, "tcp", address, port, params["uid"], *owner)
    state.emit(
        "listener.new",
        key,
        proto="tcp",
        address=address,
        port=port,
        pid=owner[0],
        name=owner[1],
        uid=params["uid"],
    )


def gpu_process(state: SimState, door: Door, params: Params) -> None:
    """A process that loads GPUs on which nothing is served."""
    process = _process(state, params, cpu_pct=98.0, rss_mib=1_420)
    for gpu in params["gpus"]:
        key = f"{gpu}/{process.pid}/compute"
        state.gpus[gpu].load(params["util_pct"], params["mem_mib"])
        state.tables["gpuprocs"][key] = GpuProcess(
            key, gpu, process.pid, "compute", process.name, process.user, params["mem_mib"],
            "", process.cmdline, process.started,
        )  # fmt: skip
        state.emit(
            "gpu.process.new",
            key,
            gpu=gpu,
            pid=process.pid,
            name=process.name,
            user=process.user,
            mem_mib=params["mem_mib"],
        )


def open_weights(state: SimState, door: Door, params: Params) -> None:
    """A process that is no server opens the weights."""
    process = _process(state, params, cpu_pct=64.0, rss_mib=310)
    key = f"{process.pid}/fd/{params['path']}"
    state.tables["openers"][key] = Opener(
        key, process.pid, process.name, process.user, params["path"], "fd", False, state.clock()
    )
    state.emit(
        "weights.opened",
        key,
        pid=process.pid,
        name=process.name,
        user=process.user,
        path=params["path"],
        how="fd",
    )


def egress(state: SimState, door: Door, params: Params) -> Lasting:
    """A flow to one peer until ``total_bytes`` have left; the simulation counts them."""
    pid = next((r.pid for r in state.tables["procs"].values() if r.name == params["name"]), None)
    key = f"out/{pid or 0}/{params['peer']}/{params['port']}"
    state.leaving.add(key)
    flows = state.tables["flows"]
    flow = Flow(
        key, "out", params["peer"], params["port"], params["uid"], pid, params["name"], 16, 0, 0,
        float(params["bytes_per_s"]), float(params["bytes_per_s"]) / 400,
    )  # fmt: skip
    if not state.permits(flow):
        return
    flows[key] = flow
    while key in flows and flows[key].tx_bytes < params["total_bytes"]:
        yield
    if key in flows:
        flows[key] = msgspec.structs.replace(flows[key], count=0, tx_bps=0.0, rx_bps=0.0)


def ecc(state: SimState, door: Door, params: Params) -> None:
    """Memory errors that cannot be corrected."""
    gpu = state.gpus[params["gpu"]]
    before = gpu.counters
    gpu.count(
        ecc_corrected=(before.ecc_corrected or 0) + params["corrected"],
        ecc_corrected_volatile=params["corrected"],
        ecc_uncorrected=params["uncorrected"],
        ecc_uncorrected_volatile=params["uncorrected"],
        remapped_uncorrected=1,
        remap_pending=1,
    )
    _xid(
        state, params["gpu"], params["xid"], "Row Remapper: New row marked for remapping, reset gpu"
    )


def _xid(state: SimState, gpu: int, xid: int, text: str) -> None:
    bus = pci(gpu).removeprefix("0000").lower().removesuffix(".0")
    state.gpus[gpu].count(last_xid=xid, last_xid_at=state.clock())
    state.emit("kernel.xid", f"{bus}/{xid}", xid=xid, pci=bus, pid=None, message=text)


def gpu_lost(state: SimState, door: Door, params: Params) -> None:
    """The GPU has fallen off the bus; its processes are gone from the driver's list."""
    index = params["gpu"]
    _xid(
        state, index, params["xid"], "pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
    )
    state.gpus[index].count(recovery_action=1)
    state.gpus[index].lost = "GPU is lost"
    procs = state.tables["gpuprocs"]
    for key in [key for key, row in procs.items() if row.gpu == index]:
        del procs[key]
    state.emit("gpu.lost", str(index), error="GPU is lost", seconds=0)


def silence(state: SimState, door: Door, params: Params) -> None:
    """The connection stays, no frame comes."""
    state.silent = True
    door.hush()


def gone(state: SimState, door: Door, params: Params) -> None:
    """The host is off."""
    state.silent = True
    door.vanish()


def host_key(state: SimState, door: Door, params: Params) -> None:
    """Somebody else answers at the address, or the host was set up anew."""
    door.change_key()


KINDS: dict[str, Callable[[SimState, Door, Params], Lasting | None]] = {
    "brute-force": brute_force,
    "login": login,
    "new-listener": new_listener,
    "gpu-process": gpu_process,
    "open-weights": open_weights,
    "egress": egress,
    "ecc": ecc,
    "gpu-lost": gpu_lost,
    "silence": silence,
    "gone": gone,
    "host-key": host_key,
}
