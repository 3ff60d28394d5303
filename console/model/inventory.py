"""Inventory sections: what a host is made of. Every field may be absent on the wire."""

import msgspec

from console.model.gpu import GpuDriver, GpuStatic


class OsFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Section ``os``."""

    id: str = ""  # os-release ID
    version: str = ""  # VERSION_ID
    pretty: str = ""
    codename: str = ""
    like: str = ""
    hostname: str = ""
    machine_id_hash: str = ""
    virtualization: str = ""  # "none", "kvm", "nspawn", ...
    python: str = ""
    reboot_required: bool | None = None


class KernelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Section ``kernel``."""

    release: str = ""
    version: str = ""
    machine: str = ""
    cmdline: str = ""  # secrets redacted
    taint: int | None = None
    taint_flags: tuple[str, ...] = ()
    modules: int | None = None
    modules_digest: str = ""
    lockdown: str = ""  # "none", "integrity", "confidentiality", "" when the kernel has none
    secure_boot: bool | None = None
    iommu: bool | None = None
    lsm: str = ""
    ptrace_scope: int | None = None
    dmesg_restrict: int | None = None
    kptr_restrict: int | None = None
    unprivileged_bpf_disabled: int | None = None
    core_pattern: str = ""
    boot_time: float | None = None
    vulnerabilities: dict[str, str] = {}  # /sys/devices/system/cpu/vulnerabilities


class HardwareFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Section ``hardware``: DMI (SMBIOS) and processor."""

    vendor: str = ""
    product: str = ""
    serial_hash: str = ""
    board: str = ""
    bios_vendor: str = ""
    bios_version: str = ""
    bios_date: str = ""
    bmc: str = ""  # firmware of the management controller where the kernel knows it
    cpu_model: str = ""
    cpu_count: int | None = None
    microcode: str = ""
    mem_total_kib: int | None = None
    tpm: str = ""  # version, empty when none


class NicFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One element of section ``nics``."""

    name: str
    mac: str = ""
    driver: str = ""
    driver_version: str = ""
    firmware: str = ""  # ethtool netlink / ioctl driver information
    bus: str = ""
    speed_mbps: int | None = None
    up: bool | None = None
    addresses: tuple[str, ...] = ()


class DigestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Section ``digests``: sha256 of things that should not change by themselves.

    Empty means "not there"; what may not be read is missing here and listed in ``denied``.
    """

    sudoers: str = ""
    firewall: str = ""
    firewall_rules: int | None = None
    firewall_backend: str = ""  # "nft", "iptables", "none"
    sshd_effective: str = ""
    sshd: dict[str, str] = {}  # the effective settings that decide security
    units: str = ""
    crontabs: str = ""
    authorized_keys: str = ""
    ld_preload: str = ""


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """All sections together; a section is None until the probe has sent it."""

    os: OsFacts | None = None
    kernel: KernelFacts | None = None
    hardware: HardwareFacts | None = None
    driver: GpuDriver | None = None
    gpus: tuple[GpuStatic, ...] | None = None
    nics: tuple[NicFacts, ...] | None = None
    digests: DigestFacts | None = None
