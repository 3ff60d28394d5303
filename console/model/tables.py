"""Rows of the probe's tables. On the wire each row is an array whose first element is its key.

Fields added later go to the end with a default, so that both sides may be of different age.
``None`` for a process means "may not be read"; the right that would unlock it is in ``denied``.

Rows hold plain values only and so are ``gc=False``, here and in ``gpu`` and ``frame``: a thousand
hosts have so many that looking through them for cycles would stop the screen for a third of a
second.
"""

import msgspec


class Process(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``procs``; sent only while the host is focused."""

    pid: int
    ppid: int
    uid: int
    user: str
    started: float  # seconds since the epoch
    name: str  # comm
    cmdline: str  # arguments joined by a space, secrets redacted by the probe
    state: str  # one letter, proc(5)
    cpu_pct: float  # of one core, over the last period
    rss_kib: int
    threads: int = 0
    cgroup: str = ""
    container: str = ""  # short container id, where the cgroup names one
    exe: str | None = None
    exe_deleted: bool = False
    caps: str = ""  # CapEff, hexadecimal
    seccomp: int | None = None  # 0 off, 1 strict, 2 filter
    no_new_privs: bool | None = None
    tracer: int = 0  # pid of an attached debugger
    label: str = ""  # AppArmor or SELinux label
    userns: bool | None = None  # True when in another user namespace than pid 1
    argv_digest: str = ""  # salted digest of the unredacted arguments, to see drift


class Listener(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``listen``: one listening TCP or bound UDP socket; key ``tcp/[::]:22``."""

    key: str
    proto: str  # "tcp", "udp"; IPv6 by the address form
    address: str
    port: int
    uid: int
    pid: int | None = None
    name: str | None = None
    unit: str | None = None  # systemd unit or container id that owns the process


class Flow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``flows``: established TCP aggregated by owner, direction, peer network and port."""

    key: str
    direction: str  # "in" when the local port is a listener, else "out"
    peer: str  # address, or prefix (/24, /48) where several addresses were folded
    port: int  # local port for "in", peer port for "out"
    uid: int
    pid: int | None
    name: str | None
    count: int  # open connections now
    tx_bytes: int  # acknowledged by the peers since the probe started
    rx_bytes: int
    tx_bps: float  # bytes a second over the last slow period
    rx_bps: float
    loopback: bool = False


class GpuProcess(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``gpuprocs``: a process that holds a GPU; key ``index/pid/kind``."""

    key: str
    gpu: int
    pid: int
    kind: str  # "compute", "graphics", "mps", "holder" (has the device node open)
    name: str | None
    user: str | None
    mem_mib: float | None
    container: str = ""
    cmdline: str = ""
    started: float = 0.0
    tracer: int = 0
    source: str = "nvml"  # "nvml", "fdinfo", "fd"
    reliable: bool = True  # False when the driver's answer did not hold together
    sm_pct: float | None = None  # share of the GPU's multiprocessors, newest sample of the driver


class Opener(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``openers``: a process that has a declared weight file open or mapped."""

    key: str  # "pid/how/path"
    pid: int
    name: str
    user: str
    path: str
    how: str  # "fd" or "map"
    writable: bool = False
    since: float = 0.0  # when the probe first saw it, seconds since the epoch


class Session(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``sessions``: a logged-in user."""

    key: str
    user: str
    tty: str
    source: str  # remote host, empty for local
    since: float


class Package(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``packages``: an installed distribution package; key ``deb/name/arch``."""

    key: str
    kind: str  # "deb" or "rpm"
    name: str
    version: str  # with epoch and release, as the package manager compares it
    arch: str = ""
    source: str = ""  # source package
    source_version: str = ""


class PyDist(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``pydists``: a Python distribution in an environment of a serving process."""

    key: str  # "environment/name"
    environment: str  # site-packages folder
    name: str
    version: str


class Container(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``containers``."""

    key: str  # full container id
    name: str
    image: str
    digest: str  # sha256:... of the image, empty when unknown
    runtime: str  # "docker", "podman", "containerd", "crio", "nspawn"
    state: str
    pid: int | None = None


class Account(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``accounts``: a local account; ``keys_digest`` is None where it may not be read."""

    key: str  # name
    uid: int
    gid: int
    home: str
    shell: str
    groups: str  # comma separated, sorted
    locked: bool | None = None
    keys: int | None = None  # number of authorised keys
    keys_digest: str | None = None


class Mount(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``mounts``: a mounted file system that is not purely virtual."""

    key: str  # target
    source: str
    fstype: str
    options: str
    encrypted: str  # "luks", "plain", "crypt", "fscrypt", "none", "unknown"
    size_mib: int | None = None
    used_mib: int | None = None


class ModelVersion(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Table ``models``: one version of a declared model; key ``source/version``."""

    key: str
    source: str  # name of the declared source
    kind: str  # "vllm", "tgi", "triton", "sglang", "ollama", "directory", ...
    unit: str  # systemd unit or container that serves it
    path: str
    version: str
    current: bool
    size_bytes: int
    files: int
    modified: float  # newest change time of a file in it, seconds since the epoch
    url: str = ""
    error: str = ""  # why it could not be read


TABLES: dict[str, type[msgspec.Struct]] = {
    "procs": Process,
    "listen": Listener,
    "flows": Flow,
    "gpuprocs": GpuProcess,
    "openers": Opener,
    "sessions": Session,
    "packages": Package,
    "pydists": PyDist,
    "containers": Container,
    "accounts": Account,
    "mounts": Mount,
    "models": ModelVersion,
}
"""All tables of protocol version 1 by their wire name."""
