"""The simulated hosts as they are described in ``fleet.toml`` and ``packages.toml``."""

import functools
import hashlib
import tomllib
from pathlib import Path

import msgspec

HERE = Path(__file__).resolve().parent


class GpuModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of accelerator: names, limits and firmware."""

    vendor: str
    name: str
    mem_mib: float
    limit_w: float
    idle_w: float
    clock_mhz: int
    mem_clock_mhz: int
    vbios: str
    inforom: str
    gsp: str
    pcie_gen: int
    nvlinks: int
    slowdown_c: float
    shutdown_c: float


class System(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operating system release."""

    id: str
    version: str
    pretty: str
    codename: str
    like: str
    kernel: str
    kernel_version: str
    python: str
    packages: str  # "deb" or "rpm"


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server model with its firmware."""

    vendor: str
    product: str
    board: str
    bios_vendor: str
    bios_version: str
    bios_date: str
    bmc: str
    cpu_model: str
    cpus: int
    mem_gib: int
    microcode: str


class ServedModel(msgspec.Struct, frozen=True, array_like=True):
    """A model that a service holds."""

    source: str
    kind: str
    version: str
    size_bytes: int
    files: int


class Service(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A serving process of a host: what it runs, listens on, holds and costs."""

    name: str
    unit: str
    user: str
    uid: int
    cmdline: str
    listen: tuple[str, ...] = ()
    cpu_pct: float = 0.0
    rss_mib: int = 64
    threads: int = 8
    clients: int = 0  # open connections from the gateway
    backends: tuple[tuple[str, int], ...] = ()
    gpus: tuple[int, ...] = ()
    gpu_mem: float = 0.0  # share of each GPU's memory
    gpu_util: float = 0.0  # mean load in percent
    container: str = ""
    image: tuple[str, str] | None = None  # reference and runtime
    python: tuple[str, str] | None = None  # site-packages folder and list in packages.toml
    model: ServedModel | None = None


class Daemon(msgspec.Struct, frozen=True, array_like=True):
    """A process that every host runs."""

    name: str
    unit: str
    user: str
    uid: int
    cmdline: str
    rss_mib: int
    threads: int


class Nic(msgspec.Struct, frozen=True, array_like=True):
    """The uplink of a host."""

    name: str
    driver: str
    version: str
    firmware: str
    speed_mbps: int


class SimHost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated host: all that does not change while it runs."""

    name: str
    role: str
    system: str
    machine: str
    nic: Nic
    groups: tuple[str, ...] = ()
    zone: str = ""
    risk: str = ""
    owner: str = ""
    tier: int = 2
    driver: str = ""
    cuda: str = ""
    gpu: str = ""
    gpus: int = 0
    rx_mbps: float = 0.0
    tx_mbps: float = 0.0
    cpu_pct: float = 0.0
    services: tuple[Service, ...] = ()


class Catalog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything ``fleet.toml`` holds."""

    gpus: dict[str, GpuModel]
    systems: dict[str, System]
    machines: dict[str, Machine]
    daemons: dict[str, tuple[Daemon, ...]]
    hosts: tuple[SimHost, ...]


class PackageLists(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything ``packages.toml`` holds; elements are "name version [source]"."""

    deb: tuple[str, ...]
    rpm: tuple[str, ...]
    nvidia: tuple[str, ...]
    nvidia_driver: tuple[str, ...]  # names only, the version is the driver's
    amd: tuple[str, ...]
    python: dict[str, tuple[str, ...]]


@functools.cache
def catalog() -> Catalog:
    """The shipped fleet."""
    text = (HERE / "fleet.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Catalog)


@functools.cache
def package_lists() -> PackageLists:
    """The shipped package lists."""
    text = (HERE / "packages.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), PackageLists)


def fleet() -> tuple[SimHost, ...]:
    """The seven hosts of the demo, in the order of the file."""
    return catalog().hosts


def swarm(count: int) -> tuple[SimHost, ...]:
    """``count`` small hosts ``sim001`` …, for tests of size: one service and at most two GPUs."""
    kinds = [host for host in fleet() if host.gpu]
    width = max(3, len(str(count)))
    out = []
    for number in range(1, count + 1):
        base = kinds[number % len(kinds)]
        service = msgspec.structs.replace(base.services[0], gpus=(0, 1))
        out.append(
            msgspec.structs.replace(base, name=f"sim{number:0{width}}", gpus=2, services=(service,))
        )
    return tuple(out)


def digest(*parts: object, length: int = 32) -> str:
    """Repeatable hexadecimal digits from ``parts``: ids, serial numbers, fingerprints."""
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def as_uuid(*parts: object) -> str:
    """The same in the form 8-4-4-4-12."""
    text = digest(*parts)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
