"""The fast lane: load, memory, pressure, network and disks of the whole host, from ``/proc``."""

from __future__ import annotations

import os

from .place import Place, slurp, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECTOR = 512
MAX_NICS = 64
SOONEST_S = 0.25  # rates over less than this are noise: the last sample is given again


def parse_stat(text: bytes) -> dict[str, Any]:
    """``/proc/stat``: ``cpu`` (list of ticks), ``cpus`` (count), ``btime``, ``running``."""
    found: dict[str, Any] = {"cpu": [], "cpus": 0, "btime": 0, "running": None}
    for line in text.split(b"\n"):
        fields = line.split()
        if len(fields) < 2:
            continue
        head = fields[0]
        if head == b"cpu":
            found["cpu"] = _numbers(fields[1:11])
        elif head.startswith(b"cpu") and head[3:].isdigit():
            found["cpus"] += 1
        elif head == b"btime":
            found["btime"] = (_numbers(fields[1:2]) or [0])[0]
        elif head == b"procs_running":
            found["running"] = next(iter(_numbers(fields[1:2])), None)
    return found


def parse_meminfo(text: bytes) -> dict[str, int]:
    """``/proc/meminfo`` in KiB by name."""
    found: dict[str, int] = {}
    for line in text.split(b"\n"):
        name, colon, rest = line.partition(b":")
        value = rest.split()
        if colon and value and value[0].isdigit():
            found[words(name, 64)] = int(value[0])
    return found


def parse_pressure(text: bytes) -> float | None:
    """``some avg10`` of a pressure file, percent."""
    for part in text.split(b"\n", 1)[0].split():
        if part.startswith(b"avg10="):
            try:
                value = float(part[6:])
            except ValueError:
                return None
            return value if 0 <= value <= 100 else None
    return None


def parse_net_dev(text: bytes) -> dict[str, tuple[int, int, int]]:
    """``/proc/net/dev``: received bytes, sent bytes, errors and drops, by interface."""
    found: dict[str, tuple[int, int, int]] = {}
    for line in text.split(b"\n"):
        name, colon, rest = line.rpartition(b":")
        values = _numbers(rest.split())
        if colon and len(values) >= 12:
            errors = values[2] + values[3] + values[10] + values[11]
            found[words(name.strip(), 64)] = (values[0], values[8], errors)
    return found


def parse_diskstats(text: bytes, whole: frozenset[str]) -> tuple[int, int]:
    """``/proc/diskstats``: bytes read and written, summed over the disks in ``whole``."""
    read = written = 0
    for line in text.split(b"\n"):
        fields = line.split()
        if len(fields) >= 10 and words(fields[2], 64) in whole:
            values = _numbers([fields[5], fields[9]])
            if len(values) == 2:
                read += values[0]
                written += values[1]
    return read * SECTOR, written * SECTOR


def parse_loadavg(text: bytes) -> list[float] | None:
    """The three load averages."""
    try:
        values = [float(part) for part in text.split()[:3]]
    except ValueError:
        return None
    sane = len(values) == 3 and all(0 <= value < 1e9 for value in values)
    return values if sane else None


def _numbers(fields: list[bytes]) -> list[int]:
    values = []
    for field in fields:
        if not field.isdigit():
            break
        values.append(int(field))
    return values


def _rate(new: int, old: int, seconds: float) -> float:
    """A counter that went back (driver reload, wrap) counts as no traffic."""
    return round((new - old) / seconds, 1) if new > old and seconds > 0 else 0.0


class Counters:
    """Makes part ``f`` (without GPUs) from one sample to the next."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._at: float | None = None
        self._cpu: list[int] = []
        self._net: dict[str, tuple[int, int, int]] = {}
        self._disk: tuple[int, int] | None = None
        self._links: dict[str, bool] = {}
        self._disks: frozenset[str] = frozenset()
        self._disks_until = 0.0
        self._last: dict[str, Any] = {}
        self.btime = 0

    def sample(self) -> dict[str, Any]:
        """One sample; rates cover the time since the one before and are absent in the first."""
        now = self._place.mono()
        passed = now - self._at if self._at is not None else 0.0
        if self._at is not None and passed < SOONEST_S:
            return dict(self._last)
        part: dict[str, Any] = {"dt": round(passed, 3)}
        self._processor(part)
        self._memory(part)
        self._network(part, passed)
        self._storage(part, passed, now)
        load = parse_loadavg(self._read("loadavg"))
        if load is not None:
            part["load"] = load
        for name in ("cpu", "memory", "io"):
            value = parse_pressure(self._read("pressure/" + name))
            if value is not None:
                part["psi_mem" if name == "memory" else "psi_" + name] = value
        part["uptime_s"] = round(self._place.boot(), 2)
        self._at = now
        self._last = part
        return dict(part)

    def _read(self, name: str) -> bytes:
        try:
            return slurp(self._place.proc + "/" + name)
        except OSError:
            return b""

    def _processor(self, part: dict[str, Any]) -> None:
        stat = parse_stat(self._read("stat"))
        cpu: list[int] = stat["cpu"]
        self.btime = stat["btime"] or self.btime
        part["cpus"] = stat["cpus"]
        if stat["running"] is not None:
            part["running"] = stat["running"]
        if len(cpu) >= 8 and len(self._cpu) >= 8:
            # guest time (fields 8 and 9) is already counted in user and nice
            spent = [max(0, new - old) for new, old in zip(cpu[:8], self._cpu)]
            whole = sum(spent)
            if whole:
                part["cpu_pct"] = round((whole - spent[3] - spent[4]) / whole * 100, 2)
                part["iowait_pct"] = round(spent[4] / whole * 100, 2)
                part["steal_pct"] = round(spent[7] / whole * 100, 2)
        self._cpu = cpu

    def _memory(self, part: dict[str, Any]) -> None:
        info = parse_meminfo(self._read("meminfo"))
        for key, name in (
            ("mem_total_kib", "MemTotal"),
            ("mem_avail_kib", "MemAvailable"),
            ("swap_total_kib", "SwapTotal"),
        ):
            if name in info:
                part[key] = info[name]
        if "SwapTotal" in info and "SwapFree" in info:
            part["swap_used_kib"] = max(0, info["SwapTotal"] - info["SwapFree"])

    def _network(self, part: dict[str, Any], passed: float) -> None:
        try:
            net = parse_net_dev(slurp_all(self._place.proc + "/net/dev", 1 << 20))
        except OSError:
            return
        if net.keys() != self._links.keys():
            self._links = {}
        net = {name: values for name, values in net.items() if self._counts(name)}
        if passed > 0:
            nics: list[list[Any]] = []
            for name, (received, sent, errors) in net.items():
                old = self._net.get(name, (received, sent, errors))
                rates = _rate(received, old[0], passed), _rate(sent, old[1], passed)
                nics.append([name, rates[0], rates[1], errors])
            part["rx_bps"] = round(sum(nic[1] for nic in nics), 1)
            part["tx_bps"] = round(sum(nic[2] for nic in nics), 1)
            part["nics"] = sorted(nics, key=lambda nic: -(nic[1] + nic[2]))[:MAX_NICS]
        self._net = net

    def _counts(self, name: str) -> bool:
        """Cards count; where there are none (a container), what is no bridge and no bridge's end.

        A packet of a container crosses veth, bridge and card, and one of a bond or tunnel crosses
        a card too: counting them all would count it twice or more.
        """
        known = self._links.get(name)
        if known is not None:
            return known
        base = self._place.path("/sys/class/net/") + name
        if name == "lo":
            counts = False
        elif os.path.exists(base + "/device"):
            counts = True
        else:
            virtual = name.startswith(("veth", "docker", "br-", "virbr", "cali", "cni", "lxc"))
            bridge = os.path.exists(base + "/bridge") or os.path.exists(base + "/brport")
            counts = not (virtual or bridge or self._has_device())
        self._links[name] = counts
        return counts

    def _has_device(self) -> bool:
        base = self._place.path("/sys/class/net")
        try:
            names = os.listdir(base)
        except OSError:
            return False
        return any(os.path.exists(base + "/" + name + "/device") for name in names)

    def _storage(self, part: dict[str, Any], passed: float, now: float) -> None:
        if now >= self._disks_until:
            self._disks = self._whole_disks()
            self._disks_until = now + 60.0
        try:
            disk = parse_diskstats(slurp_all(self._place.proc + "/diskstats", 1 << 20), self._disks)
        except OSError:
            return
        if self._disk is not None and passed > 0:
            part["disk_read_bps"] = _rate(disk[0], self._disk[0], passed)
            part["disk_write_bps"] = _rate(disk[1], self._disk[1], passed)
        self._disk = disk

    def _whole_disks(self) -> frozenset[str]:
        """Disks with a device of their own: no partitions, loops, or mapped volumes over them."""
        base = self._place.path("/sys/block")
        try:
            names = os.listdir(base)
        except OSError:
            return frozenset()
        return frozenset(name for name in names if os.path.exists(base + "/" + name + "/device"))
