"""Trees of sysfs and procfs with AMD and Intel GPUs, written from the kernel's documentation."""

from pathlib import Path


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files given by their path below ``folder``."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


class Tree:
    """A host: ``proc`` and ``sys`` are its roots."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.sys = folder / "sys"
        for path in (self.proc, self.sys / "class/drm"):
            path.mkdir(parents=True)

    def card(self, number: int, driver: str, pci: str, files: dict[str, str]) -> Path:
        """Add a card with its render node; its device folder."""
        device = self.sys / f"devices/pci0000:00/{pci}"
        module = self.sys / f"bus/pci/drivers/{driver}"
        module.mkdir(parents=True, exist_ok=True)
        device.mkdir(parents=True)
        write(device, files)
        (device / "driver").symlink_to(module)
        for name in (f"card{number}", f"renderD{128 + number}"):
            node = device / "drm" / name
            node.mkdir(parents=True, exist_ok=True)
            (node / "device").symlink_to(device)
            (self.sys / "class/drm" / name).symlink_to(node)
        return device

    def connector(self, number: int, name: str, enabled: bool) -> None:
        """Add a display connector to a card."""
        state = "enabled" if enabled else "disabled"
        write(self.sys / f"class/drm/card{number}-{name}", {"enabled": state})

    def client(self, pid: int, fd: int, node: str, fdinfo: str = "") -> None:
        """Let a process have a device node open."""
        folder = self.proc / str(pid)
        (folder / "fd").mkdir(parents=True, exist_ok=True)
        (folder / "fd" / str(fd)).symlink_to("/dev/kfd" if node == "kfd" else f"/dev/dri/{node}")
        self.fdinfo(pid, fd, fdinfo)

    def fdinfo(self, pid: int, fd: int, text: str) -> None:
        """Change what the kernel says about an open file."""
        write(self.proc / str(pid) / "fdinfo", {str(fd): text})


MI300X = {
    "vendor": "0x1002",
    "device": "0x74a1",
    "product_name": "AMD Instinct MI300X",
    "unique_id": "0a1b2c3d4e5f6071",
    "serial_number": "PCB012345",
    "vbios_version": "113-M3000100-102",
    "gpu_busy_percent": "87",
    "mem_busy_percent": "42",
    "mem_info_vram_used": str(40 << 30),
    "mem_info_vram_total": str(192 << 30),
    "pcie_replay_count": "3",
    "current_link_speed": "32.0 GT/s PCIe",
    "max_link_speed": "32.0 GT/s PCIe",
    "current_link_width": "8",
    "max_link_width": "16",
    "current_compute_partition": "SPX",
    "current_memory_partition": "NPS1",
    "enforce_isolation": "1 0 0 0",
    "power/runtime_status": "active",
    "hwmon/hwmon3/name": "amdgpu",
    "hwmon/hwmon3/temp2_label": "junction",
    "hwmon/hwmon3/temp2_input": "64000",
    "hwmon/hwmon3/temp3_label": "mem",
    "hwmon/hwmon3/temp3_input": "58000",
    "hwmon/hwmon3/temp1_crit": "100000",
    "hwmon/hwmon3/temp1_emergency": "105000",
    "hwmon/hwmon3/power1_input": "451000000",
    "hwmon/hwmon3/power1_cap": "750000000",
    "hwmon/hwmon3/power1_cap_max": "750000000",
    "hwmon/hwmon3/freq1_label": "sclk",
    "hwmon/hwmon3/freq1_input": "2100000000",
    "hwmon/hwmon3/freq2_label": "mclk",
    "hwmon/hwmon3/freq2_input": "1300000000",
    "ras/umc_err_count": "ue: 1\nce: 20",
    "ras/gfx_err_count": "ue: 0\nce: 3",
    "ras/gpu_vram_bad_pages": "0x00000001 : 0x00001000 : R\n0x00000002 : 0x00001000 : P",
}

ARC = {
    "vendor": "0x8086",
    "device": "0x56c0",
    "current_link_speed": "16.0 GT/s PCIe",
    "max_link_speed": "16.0 GT/s PCIe",
    "current_link_width": "16",
    "max_link_width": "16",
    "sriov_numvfs": "2",
    "sriov_totalvfs": "31",
    "drm/card1/lmem_total_bytes": str(14 << 30),
    "drm/card1/gt/gt0/rps_act_freq_mhz": "2050",
    "drm/card1/gt/gt0/throttle_reason_status": "1",
    "drm/card1/gt/gt0/throttle_reason_pl1": "1",
    "drm/card1/gt/gt0/throttle_reason_thermal": "0",
    "hwmon/hwmon4/name": "i915",
    "hwmon/hwmon4/energy1_input": "1000000",
    "hwmon/hwmon4/power1_max": "120000000",
    "hwmon/hwmon4/power1_rated_max": "150000000",
    "hwmon/hwmon4/temp1_input": "51000",
}

AMD_CLIENT = """pos:\t0
flags:\t02100002
drm-driver:\tamdgpu
drm-client-id:\t{client}
drm-pdev:\t{pci}
drm-total-vram:\t9000000 KiB
drm-resident-vram:\t{vram} KiB
drm-memory-vram:\t{vram} KiB
drm-memory-gtt:\t2048 KiB
drm-engine-gfx:\t{gfx} ns
drm-engine-compute:\t{compute} ns"""

I915_CLIENT = """drm-driver:\ti915
drm-client-id:\t{client}
drm-pdev:\t{pci}
drm-total-local0:\t4096 MiB
drm-resident-local0:\t{vram} KiB
drm-resident-system0:\t1 MiB
drm-engine-render:\t{render} ns
drm-engine-video:\t0 ns
drm-engine-capacity-video:\t2"""

XE_CLIENT = """drm-driver:\txe
drm-client-id:\t{client}
drm-pdev:\t{pci}
drm-resident-vram0:\t{vram} KiB
drm-cycles-ccs:\t{cycles}
drm-total-cycles-ccs:\t{total}
drm-cycles-rcs:\t0
drm-total-cycles-rcs:\t{total}"""
