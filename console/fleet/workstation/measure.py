"""Numbers of this machine by psutil: the fast lane, a process summary, listeners."""

import platform
import socket
import time
from collections import Counter

import psutil

from console.model.frame import Fast, InterfaceRate, ProcessBrief, ProcessSummary
from console.model.inventory import Inventory, KernelFacts, NicFacts, OsFacts
from console.model.tables import Listener
from console.text import clean

TOP = 5
USERS = 16
MAX_LISTENERS = 4096
NO_UID = -1  # the owner may not be read

_VIRTUAL = ("lo", "veth", "docker", "br-", "virbr", "tap", "vnet", "cni", "flannel", "cali")


class Meter:
    """Keeps the last counters, so that rates can be told. Call from one thread at a time."""

    def __init__(self) -> None:
        self._at = 0.0
        self._nics: dict[str, tuple[int, int]] = {}
        self._disk: tuple[int, int] = (0, 0)
        self._users: dict[int, str] = {}

    def fast(self) -> Fast:
        """The fast lane; rates are None in the first one."""
        now = time.monotonic()
        dt = now - self._at if self._at else 0.0
        cpu = psutil.cpu_percent(None)  # since the last call; without meaning in the first
        times = psutil.cpu_times_percent(None)
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        nics = self._rates(dt)
        busy = [nic for nic in nics if not nic.name.startswith(_VIRTUAL)]
        read, write = self._disk_rates(dt)
        self._at = now
        return Fast(
            dt=dt,
            cpus=psutil.cpu_count() or 0,
            cpu_pct=cpu if dt else None,
            iowait_pct=getattr(times, "iowait", None) if dt else None,
            steal_pct=getattr(times, "steal", None) if dt else None,
            load=psutil.getloadavg(),
            mem_total_kib=memory.total >> 10,
            mem_avail_kib=memory.available >> 10,
            swap_total_kib=swap.total >> 10,
            swap_used_kib=swap.used >> 10,
            rx_bps=sum(nic.rx_bps for nic in busy) if dt else None,
            tx_bps=sum(nic.tx_bps for nic in busy) if dt else None,
            nics=nics if dt else (),
            disk_read_bps=read,
            disk_write_bps=write,
            procs=len(psutil.pids()),
            uptime_s=time.time() - psutil.boot_time(),
        )

    def _rates(self, dt: float) -> tuple[InterfaceRate, ...]:
        before = self._nics
        found = psutil.net_io_counters(pernic=True)
        self._nics = {name: (c.bytes_recv, c.bytes_sent) for name, c in found.items()}
        out = []
        for name, c in found.items():
            rx, tx = before.get(name, (c.bytes_recv, c.bytes_sent))
            out.append(
                InterfaceRate(
                    name=clean(name, 32),
                    rx_bps=max(0.0, (c.bytes_recv - rx) / dt) if dt else 0.0,
                    tx_bps=max(0.0, (c.bytes_sent - tx) / dt) if dt else 0.0,
                    errors=c.errin + c.errout + c.dropin + c.dropout,
                )
            )
        return tuple(out)

    def _disk_rates(self, dt: float) -> tuple[float | None, float | None]:
        found = psutil.disk_io_counters()
        if found is None:  # a machine without a disk of its own
            return None, None
        read, write = self._disk
        self._disk = (found.read_bytes, found.write_bytes)
        if not dt:
            return None, None
        return max(0.0, (found.read_bytes - read) / dt), max(0.0, (found.write_bytes - write) / dt)

    def processes(self) -> ProcessSummary:
        """Who runs what; processor shares since the last call."""
        briefs = []
        users: Counter[str] = Counter()
        states: Counter[str] = Counter()
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    user = self._user(process.uids().real)
                    states[process.status()] += 1
                    users[user] += 1
                    briefs.append(
                        ProcessBrief(
                            pid=process.pid,
                            user=user,
                            name=clean(process.name(), 64),
                            cpu_pct=process.cpu_percent(None),
                            rss_kib=process.memory_info().rss >> 10,
                        )
                    )
            except psutil.Error:  # it ended, or is not ours to read
                continue
        return ProcessSummary(
            total=len(briefs),
            running=states[psutil.STATUS_RUNNING],
            zombies=states[psutil.STATUS_ZOMBIE],
            by_user=dict(users.most_common(USERS)),
            top_cpu=tuple(sorted(briefs, key=lambda row: -row.cpu_pct)[:TOP]),
            top_rss=tuple(sorted(briefs, key=lambda row: -row.rss_kib)[:TOP]),
        )

    def _user(self, uid: int) -> str:
        if uid not in self._users:
            import pwd

            try:
                self._users[uid] = clean(pwd.getpwuid(uid).pw_name, 64)
            except KeyError:
                self._users[uid] = str(uid)
        return self._users[uid]


def listeners() -> tuple[Listener, ...]:
    """Listening TCP and bound UDP sockets. Raises psutil.AccessDenied where only root may ask."""
    rows: dict[str, Listener] = {}
    for item in psutil.net_connections("inet"):
        tcp = item.type == socket.SOCK_STREAM
        if not item.laddr or (item.status != psutil.CONN_LISTEN if tcp else bool(item.raddr)):
            continue
        proto = "tcp" if tcp else "udp"
        address, port = item.laddr.ip, item.laddr.port
        shown = f"[{address}]" if ":" in address else address
        name, uid = _owner(item.pid)
        key = f"{proto}/{shown}:{port}"
        rows[key] = Listener(
            key=key, proto=proto, address=address, port=port, uid=uid, pid=item.pid, name=name
        )
        if len(rows) >= MAX_LISTENERS:
            break
    return tuple(sorted(rows.values(), key=lambda row: (row.proto, row.port, row.key)))


def _owner(pid: int | None) -> tuple[str | None, int]:
    if pid is None:
        return None, NO_UID
    try:
        process = psutil.Process(pid)
        return clean(process.name(), 64), process.uids().real
    except psutil.Error:
        return None, NO_UID


def inventory() -> Inventory:
    """What this machine is, in the few facts that need no rights."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:  # not Linux, or a very bare one
        release = {}
    states = psutil.net_if_stats()
    return Inventory(
        os=OsFacts(
            id=clean(release.get("ID", platform.system().lower())),
            version=clean(release.get("VERSION_ID", platform.release())),
            pretty=clean(release.get("PRETTY_NAME", platform.platform())),
            hostname=clean(platform.node()),
            python=platform.python_version(),
        ),
        kernel=KernelFacts(
            release=clean(platform.release()),
            version=clean(platform.version()),
            machine=clean(platform.machine()),
            boot_time=psutil.boot_time(),
        ),
        nics=tuple(
            NicFacts(
                name=clean(name, 32),
                speed_mbps=states[name].speed or None if name in states else None,
                up=states[name].isup if name in states else None,
                addresses=tuple(
                    clean(item.address, 80)
                    for item in items
                    if item.family in (socket.AF_INET, socket.AF_INET6)
                ),
            )
            for name, items in psutil.net_if_addrs().items()
        ),
    )
