"""Who runs, listens and talks on a simulated host when nothing is wrong."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from console.demo.facts import GATEWAY
from console.demo.fleet import Service, SimHost, catalog, digest
from console.model.tables import Flow, GpuProcess, Listener, Opener, Process, Session

BASTION = "10.20.0.10"

_KERNEL = (
    "kthreadd", "rcu_gp", "rcu_par_gp", "netns", "mm_percpu_wq", "rcu_sched", "kdevtmpfs",
    "inet_frag_wq", "kauditd", "khungtaskd", "oom_reaper", "writeback", "kcompactd0", "kcompactd1",
    "ksmd", "khugepaged", "kintegrityd", "kblockd", "ata_sff", "md", "edac-poller", "devfreq_wq",
    "kswapd0", "kswapd1", "nvme-wq", "nvme-reset-wq", "kdmflush", "xfsalloc", "xfs-conv",
    "jbd2/dm-0-8", "ext4-rsv-conver", "mlx5_health", "ib-comp-wq", "rdma_cm", "nv_queue",
)  # fmt: skip


class Pids:
    """Hands out process ids that grow with gaps, the same for the same host and seed."""

    def __init__(self, host: SimHost, seed: int) -> None:
        self._start = 900 + int(digest("pid", seed, host.name, length=3), 16) % 400
        self._next = count(self._start, 7)

    def take(self) -> int:
        """The next free pid."""
        return next(self._next)


def processes(host: SimHost, booted: float, pids: Pids) -> Iterator[Process]:
    """Rows of the table ``procs``; the serving processes come last, in the order of services."""
    cores = min(catalog().machines[host.machine].cpus, 32)
    names = [*_KERNEL, *(f"kworker/{n}:1-events" for n in range(cores))]
    names += [f"migration/{n}" for n in range(cores)]
    for pid, name in enumerate(names, start=2):
        yield Process(pid, 2 if pid > 2 else 0, 0, "root", booted, name, "", "I", 0.0, 0, 1)
    daemons = list(catalog().daemons["all"])
    if host.gpu and catalog().gpus[host.gpu].vendor == "nvidia":
        daemons += catalog().daemons["nvidia"]
    for item in daemons:
        pid = 1 if item.name == "systemd" else pids.take()
        group = "/init.scope" if pid == 1 else f"/system.slice/{item.unit}"
        yield Process(
            pid, int(pid != 1), item.uid, item.user, booted + 4, item.name, item.cmdline, "S", 0.1,
            item.rss_mib << 10, item.threads, group, "", item.cmdline.split()[0],
            caps="0" if item.uid else "000001ffffffffff",
        )  # fmt: skip
    for service in host.services:
        yield from _serving(service, booted + 61, pids)


def _serving(service: Service, started: float, pids: Pids) -> Iterator[Process]:
    main = pids.take()
    group = f"/system.slice/{service.unit}"
    exe = service.cmdline.split()[0]
    workers = len(service.gpus) if service.name == "python3" else 0
    share = 1 + workers
    rows = [(main, 1, service.name, service.cmdline)]
    rows += [(pids.take(), main, f"VLLM::Worker_TP{n}", service.cmdline) for n in range(workers)]
    for pid, parent, name, cmdline in rows:
        yield Process(
            pid, parent, service.uid, service.user, started, name[:15], cmdline, "S",
            service.cpu_pct / share, (service.rss_mib << 10) // share, service.threads // share + 1,
            group, service.container, exe, caps="0", seccomp=2, no_new_privs=True,
            label="docker-default (enforce)" if service.container else "unconfined",
            argv_digest=digest("argv", service.cmdline, length=16),
        )  # fmt: skip


def main_pid(rows: dict[int | str, Any], service: Service) -> int:
    """Pid of the main process of ``service`` in the table ``procs``."""
    for row in rows.values():
        if row.ppid == 1 and row.cgroup.endswith("/" + service.unit):
            return int(row.pid)
    raise KeyError(service.unit)


def _wanted(host: SimHost) -> list[tuple[str, int, str, str]]:
    wanted: list[tuple[str, int, str, str]] = [
        ("tcp/0.0.0.0:22", 0, "sshd", "ssh.service"),
        ("tcp/[::]:22", 0, "sshd", "ssh.service"),
        ("tcp/127.0.0.1:9100", 998, "node_exporter", "node_exporter.service"),
        ("udp/127.0.0.1:323", 114, "chronyd", "chrony.service"),
    ]
    if host.gpu and catalog().gpus[host.gpu].vendor == "nvidia":
        wanted.append(("tcp/127.0.0.1:9400", 0, "dcgm-exporter", "dcgm-exporter.service"))
    for service in host.services:
        wanted += [(key, service.uid, service.name, service.unit) for key in service.listen]
    return wanted


def declared(host: SimHost) -> tuple[str, ...]:
    """What the inventory declares as listening on that host when nothing is wrong."""
    return tuple(key for key, *_ in _wanted(host))


def listeners(host: SimHost, procs: dict[int | str, Any]) -> Iterator[Listener]:
    """Rows of the table ``listen``. Owners are unknown where the tier may not read them."""
    seen = host.tier >= 2
    wanted = _wanted(host)
    by_unit = {row.cgroup.rpartition("/")[2]: row.pid for row in reversed(list(procs.values()))}
    for key, uid, name, unit in wanted:
        proto, _, where = key.partition("/")
        address, _, port = where.rpartition(":")
        owner = (by_unit.get(unit), name, unit) if seen else (None, None, None)
        yield Listener(key, proto, address.strip("[]"), int(port), uid, *owner)


def flows(host: SimHost, procs: dict[int | str, Any]) -> Iterator[Flow]:
    """Rows of the table ``flows`` at rest: clients, backends and the operator's own session."""
    rx, tx = host.rx_mbps * 125_000, host.tx_mbps * 125_000
    talking = [s for s in host.services if s.clients]
    for service in talking:
        # Below tier 2 the owner of a socket is known by its user only.
        pid, name = (main_pid(procs, service), service.name) if host.tier >= 2 else (None, None)
        owner = f"uid{service.uid}" if pid is None else str(pid)
        port = int(service.listen[0].rpartition(":")[2])
        peer = "198.51.100.0/24" if host.role == "gateway" else GATEWAY
        yield Flow(
            f"in/{owner}/{peer}/{port}", "in", peer, port, service.uid, pid, name,
            service.clients, 0, 0, tx * 0.9 / len(talking), rx * 0.9 / len(talking),
        )  # fmt: skip
        for peer, backend in service.backends:
            yield Flow(
                f"out/{owner}/{peer}/{backend}", "out", peer, backend, service.uid, pid, name,
                8, 0, 0, rx * 0.15, tx * 0.15,
            )  # fmt: skip
    yield Flow(f"in/uid0/{BASTION}/22", "in", BASTION, 22, 0, None, "sshd", 1, 0, 0, 900.0, 120.0)


def gpu_processes(host: SimHost, procs: dict[int | str, Any]) -> Iterator[GpuProcess]:
    """Rows of the table ``gpuprocs``: one for each GPU that a service holds."""
    if not host.gpu:
        return
    total = catalog().gpus[host.gpu].mem_mib
    source = "nvml" if catalog().gpus[host.gpu].vendor == "nvidia" else "fdinfo"
    for service in host.services:
        if not service.gpus:
            continue
        main = main_pid(procs, service)
        workers = [r.pid for r in procs.values() if r.ppid == main]
        for place, gpu in enumerate(service.gpus):
            pid = workers[place] if place < len(workers) else main
            row = procs[pid]
            yield GpuProcess(
                f"{gpu}/{pid}/compute", gpu, pid, "compute", row.name, service.user,
                round(total * service.gpu_mem), service.container, service.cmdline, row.started,
                0, source,
            )  # fmt: skip


def openers(host: SimHost, procs: dict[int | str, Any]) -> Iterator[Opener]:
    """Rows of the table ``openers``: services map the weights that they serve."""
    if host.tier < 2:
        return
    for service in host.services:
        if service.model is None or service.name == "minio":
            continue
        pid = main_pid(procs, service)
        row = procs[pid]
        folder = f"/srv/models/{service.model.source}/{service.model.version}"
        path = f"{folder}/model-00001-of-{service.model.files:05}.safetensors"
        key = f"{pid}/map/{path}"
        yield Opener(key, pid, row.name, service.user, path, "map", since=row.started)


def sessions(now: float) -> Iterator[Session]:
    """Rows of the table ``sessions``: one administrator is logged in."""
    yield Session("c14", "mara", "pts/0", BASTION, now - 5_220)
