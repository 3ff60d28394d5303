"""GPU facts. ``None`` always means "this device or driver does not say", never zero."""

from collections.abc import Iterable, Mapping

import msgspec


class GpuFast(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The fast lane of one GPU, on the wire as an array in this order."""

    index: int
    util_pct: float | None = None
    mem_util_pct: float | None = None  # memory controller busy
    mem_used_mib: float | None = None
    mem_total_mib: float | None = None
    temp_c: float | None = None
    power_w: float | None = None
    sm_clock_mhz: int | None = None
    mem_clock_mhz: int | None = None
    throttle: int | None = None  # clock event reasons bit mask (nvml.h, nvmlClocksEventReason*)
    age_s: float = 0.0  # how old this sample is; grows while a driver call hangs
    lost: str = ""  # why the GPU cannot be read now ("GPU is lost", "call hung 12 s")


class GpuCounters(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The slow lane of one GPU: error counters, sent whole when one of them changed."""

    index: int
    ecc_corrected: int | None = None  # aggregate, since the counters were cleared
    ecc_uncorrected: int | None = None
    ecc_corrected_volatile: int | None = None  # since the driver was loaded
    ecc_uncorrected_volatile: int | None = None
    retired_pages_sbe: int | None = None
    retired_pages_dbe: int | None = None
    retired_pages_pending: int | None = None
    remapped_corrected: int | None = None
    remapped_uncorrected: int | None = None
    remap_pending: int | None = None
    remap_failure: int | None = None
    pcie_replays: int | None = None
    pcie_tx_bytes: int | None = None
    pcie_rx_bytes: int | None = None
    nvlink_crc_errors: int | None = None
    nvlink_replay_errors: int | None = None
    nvlink_tx_kib: int | None = None
    nvlink_rx_kib: int | None = None
    mem_temp_c: float | None = None
    energy_mj: int | None = None
    power_violation_ns: int | None = None
    thermal_violation_ns: int | None = None
    recovery_action: int | None = None  # nvmlDeviceGpuRecoveryAction_t; 0 is none
    last_xid: int | None = None  # last critical Xid seen since the probe started
    last_xid_at: float | None = None  # seconds since the epoch
    enc_util_pct: float | None = None
    dec_util_pct: float | None = None


class GpuStatic(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The inventory lane of one GPU."""

    index: int
    vendor: str = "nvidia"  # "nvidia", "amd", "intel"
    name: str = ""
    uuid: str = ""
    serial: str = ""
    pci: str = ""  # domain:bus:device.function
    driver: str = ""
    vbios: str = ""
    inforom_image: str = ""
    inforom_checksum: str = ""
    gsp_firmware: str = ""
    gsp_enabled: bool | None = None
    mem_total_mib: float | None = None
    power_limit_w: float | None = None
    power_max_limit_w: float | None = None
    temp_slowdown_c: float | None = None
    temp_shutdown_c: float | None = None
    mig_mode: bool | None = None
    mig_pending: bool | None = None
    ecc_mode: bool | None = None
    ecc_pending: bool | None = None
    persistence: bool | None = None
    compute_mode: int | None = None  # 0 default, 2 prohibited, 3 exclusive process
    accounting: bool | None = None
    api_application_clocks_restricted: bool | None = None  # nvmlDeviceGetAPIRestriction(0)
    api_auto_boost_restricted: bool | None = None  # nvmlDeviceGetAPIRestriction(1)
    pcie_gen: int | None = None
    pcie_gen_max: int | None = None
    pcie_width: int | None = None
    pcie_width_max: int | None = None
    nvlinks_active: int | None = None
    fabric: str = ""  # of NVLink switches: "not-started", "in-progress", "ready", "failed: ..."
    fabric_clique: int | None = None  # GPUs of one clique reach each other's memory
    cc_certificate: str = ""  # sha256 of the certificate chain that the GPU shows
    display_active: bool | None = None
    bar1_total_mib: float | None = None
    bar1_used_mib: float | None = None
    dram_encryption: bool | None = None
    isolation: str = ""  # partitioning of other vendors, as their tools print it


class GpuDriver(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the driver says about itself and the whole host, in the inventory section ``driver``."""

    vendor: str = ""
    version: str = ""  # of the user-space library in use
    kernel_module: str = ""  # version line of the loaded kernel module
    nvml: str = ""
    cuda: str = ""
    cc_environment: str = ""  # confidential computing: "none", "simulation", "production"
    cc_feature: bool | None = None
    cc_dev_tools: bool | None = None  # DevTools mode: True is insecure
    cc_multi_gpu: str = ""  # "none", "protected-pcie"
    profiling_admin_only: bool | None = None  # False: any user may read performance counters
    peermem: bool | None = None  # nvidia_peermem loaded (GPUDirect RDMA)
    error: str = ""  # why the vendor library does not answer, when a device is there


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU as a screen shows it: the newest of all three lanes."""

    index: int
    static: GpuStatic
    fast: GpuFast
    counters: GpuCounters


def together(
    static: Iterable[GpuStatic], fast: Iterable[GpuFast], counters: Mapping[int, GpuCounters]
) -> tuple[Gpu, ...]:
    """The newest of all three lanes of each GPU that one of the first two names, by index."""
    known = {gpu.index: gpu for gpu in static}
    now = {gpu.index: gpu for gpu in fast}
    return tuple(
        Gpu(
            index=index,
            static=known.get(index) or GpuStatic(index=index),
            fast=now.get(index) or GpuFast(index),
            counters=counters.get(index) or GpuCounters(index=index),
        )
        for index in sorted(known.keys() | now.keys())
    )


THROTTLE_REASONS: tuple[tuple[int, str], ...] = (
    (0x80, "hw-power-brake"),
    (0x40, "hw-thermal"),
    (0x08, "hw-slowdown"),
    (0x20, "sw-thermal"),
    (0x04, "sw-power-cap"),
    (0x10, "sync-boost"),
    (0x02, "app-clocks"),
    (0x100, "display-clocks"),
    (0x01, "idle"),
)
"""Clock event reasons of nvml.h, worst first."""


def worst_throttle(mask: int | None) -> str:
    """Name of the worst reason in ``mask`` that limits work; empty for none or idle."""
    if not mask:
        return ""
    for bit, name in THROTTLE_REASONS:
        if mask & bit and name not in ("idle", "app-clocks", "display-clocks"):
            return name
    return ""
