"""What a simulated host is made of: its inventory sections and the tables that rarely change."""

from collections.abc import Iterator

from console.demo.fleet import SimHost, as_uuid, catalog, digest, package_lists
from console.model.gpu import GpuDriver, GpuStatic
from console.model.inventory import (
    DigestFacts,
    HardwareFacts,
    Inventory,
    KernelFacts,
    NicFacts,
    OsFacts,
)
from console.model.tables import Account, Container, ModelVersion, Mount, Package, PyDist

FLEET_ADDRESS = {
    "gw-fra-1": "10.20.1.5",
    "h100-fra-1": "10.20.1.11",
    "h100-fra-2": "10.20.1.12",
    "a100-fra-1": "10.20.1.21",
    "l40s-fra-1": "10.20.1.31",
    "mi300-fra-1": "10.20.1.41",
    "store-fra-1": "10.20.1.61",
}
"""Addresses the hosts would have in their own network; on this machine all are 127.0.0.1."""

GATEWAY = FLEET_ADDRESS["gw-fra-1"]
MODELS = "/srv/models"
MODIFIED = 1_730_541_600.0  # 2024-11-02, when the weights were last written

TIER1_DENIED = {
    "listeners.owner": "CAP_SYS_PTRACE (tier 2)",
    "flows.owner": "CAP_SYS_PTRACE (tier 2)",
    "openers": "CAP_SYS_PTRACE (tier 2)",
    "digests.firewall": "CAP_NET_ADMIN (tier 2)",
    "digests.sshd_effective": "root (tier 2)",
}


def address(host: SimHost) -> str:
    """The host's address in its own network."""
    return FLEET_ADDRESS.get(host.name, f"10.21.{int(digest(host.name, length=2), 16)}.10")


def denied(host: SimHost) -> dict[str, str]:
    """What the probe of that host may not read, and the right that would unlock it."""
    return dict(TIER1_DENIED) if host.tier < 2 else {}


def inventory(host: SimHost, seed: int, booted: float) -> Inventory:
    """All sections; ``booted`` is the boot time in seconds since the epoch."""
    return Inventory(
        os=_os(host, seed),
        kernel=_kernel(host, seed, booted),
        hardware=_hardware(host, seed),
        driver=_driver(host),
        gpus=tuple(_gpus(host, seed)),
        nics=(_nic(host, seed),),
        digests=_digests(host, seed),
    )


def _os(host: SimHost, seed: int) -> OsFacts:
    system = catalog().systems[host.system]
    return OsFacts(
        id=system.id,
        version=system.version,
        pretty=system.pretty,
        codename=system.codename,
        like=system.like,
        hostname=host.name,
        machine_id_hash=digest("machine", seed, host.name),
        virtualization="none",
        python=system.python,
        reboot_required=host.name in ("a100-fra-1", "l40s-fra-1"),
    )


def _kernel(host: SimHost, seed: int, booted: float) -> KernelFacts:
    system = catalog().systems[host.system]
    nvidia = bool(host.driver) and catalog().gpus[host.gpu].vendor == "nvidia"
    iommu = "intel_iommu=on iommu=pt" if host.machine != "g492" else "iommu=pt"
    return KernelFacts(
        release=system.kernel,
        version=system.kernel_version,
        machine="x86_64",
        cmdline=f"BOOT_IMAGE=/vmlinuz-{system.kernel} root=/dev/mapper/vg0-root ro {iommu}",
        taint=12_289 if nvidia else 0,
        taint_flags=("P", "O", "E") if nvidia else (),
        modules=214 if host.gpu else 131,
        modules_digest=digest("modules", seed, host.system, host.driver, length=64),
        lockdown="integrity" if host.system == "rocky" else "none",
        secure_boot=host.system == "rocky",
        iommu=True,
        lsm="lockdown,capability,yama,selinux"
        if host.system == "rocky"
        else "lockdown,capability,landlock,yama,apparmor",
        ptrace_scope=0 if host.system == "rocky" else 1,
        dmesg_restrict=1,
        kptr_restrict=1,
        unprivileged_bpf_disabled=2,
        core_pattern="|/usr/share/apport/apport -p%p -s%s -c%c -d%d -P%P -u%u -g%g -- %E"
        if host.system == "ubuntu"
        else "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h",
        boot_time=booted,
        vulnerabilities={
            "meltdown": "Not affected",
            "spectre_v2": "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional",
            "spec_store_bypass": "Mitigation: Speculative Store Bypass disabled via prctl",
            "gather_data_sampling": "Mitigation: Microcode"
            if host.machine != "g492"
            else "Not affected",
        },
    )


def _hardware(host: SimHost, seed: int) -> HardwareFacts:
    machine = catalog().machines[host.machine]
    return HardwareFacts(
        vendor=machine.vendor,
        product=machine.product,
        serial_hash=digest("serial", seed, host.name),
        board=machine.board,
        bios_vendor=machine.bios_vendor,
        bios_version=machine.bios_version,
        bios_date=machine.bios_date,
        bmc=machine.bmc,
        cpu_model=machine.cpu_model,
        cpu_count=machine.cpus,
        microcode=machine.microcode,
        mem_total_kib=machine.mem_gib << 20,
        tpm="2.0",
    )


def _driver(host: SimHost) -> GpuDriver | None:
    if not host.gpu:
        return GpuDriver()
    if catalog().gpus[host.gpu].vendor == "amd":
        return GpuDriver(vendor="amd", version=host.driver, kernel_module=f"amdgpu {host.driver}")
    return GpuDriver(
        vendor="nvidia",
        version=host.driver,
        kernel_module=f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {host.driver}",
        nvml=f"{host.cuda.split('.')[0]}.{host.driver}",
        cuda=host.cuda,
        cc_environment="none",
        cc_feature=False if host.gpu == "h100" else None,
        cc_dev_tools=False if host.gpu == "h100" else None,
        cc_multi_gpu="none",
        profiling_admin_only=host.name != "a100-fra-1",
        peermem=host.gpu == "h100",
    )


def _gpus(host: SimHost, seed: int) -> Iterator[GpuStatic]:
    if not host.gpu:
        return
    kind = catalog().gpus[host.gpu]
    nvidia = kind.vendor == "nvidia"
    for index in range(host.gpus):
        yield GpuStatic(
            index=index,
            vendor=kind.vendor,
            name=kind.name,
            uuid=("GPU-" if nvidia else "") + as_uuid("gpu", seed, host.name, index),
            serial=str(1_650_000_000_000 + int(digest(seed, host.name, index, length=9), 16)),
            pci=pci(index),
            driver=host.driver,
            vbios=kind.vbios,
            inforom_image=kind.inforom,
            inforom_checksum=digest("inforom", kind.inforom, length=8) if nvidia else "",
            gsp_firmware=kind.gsp,
            gsp_enabled=True if nvidia else None,
            mem_total_mib=kind.mem_mib,
            power_limit_w=kind.limit_w,
            power_max_limit_w=kind.limit_w,
            temp_slowdown_c=kind.slowdown_c,
            temp_shutdown_c=kind.shutdown_c,
            mig_mode=False if nvidia else None,
            mig_pending=False if nvidia else None,
            ecc_mode=True,
            ecc_pending=True,
            persistence=True if nvidia else None,
            compute_mode=0 if nvidia else None,
            accounting=False if nvidia else None,
            api_application_clocks_restricted=True if nvidia else None,
            pcie_gen=kind.pcie_gen,
            pcie_gen_max=kind.pcie_gen,
            pcie_width=16,
            pcie_width_max=16,
            nvlinks_active=kind.nvlinks if nvidia else None,
            display_active=False if nvidia else None,
            bar1_total_mib=kind.mem_mib if nvidia else None,
            isolation="" if nvidia else "SPX / NPS1",
        )


def pci(index: int) -> str:
    """Bus address of a GPU, as NVML writes it."""
    return f"00000000:{(0x1B, 0x43, 0x52, 0x61, 0x9D, 0xC3, 0xD1, 0xDF)[index % 8]:02X}:00.0"


def _nic(host: SimHost, seed: int) -> NicFacts:
    mac = digest("mac", seed, host.name, length=6)
    return NicFacts(
        name=host.nic.name,
        mac=f"b8:3f:d2:{mac[:2]}:{mac[2:4]}:{mac[4:]}",
        driver=host.nic.driver,
        driver_version=host.nic.version,
        firmware=host.nic.firmware,
        bus="0000:29:00.0",
        speed_mbps=host.nic.speed_mbps,
        up=True,
        addresses=(f"{address(host)}/24",),
    )


def _digests(host: SimHost, seed: int) -> DigestFacts:
    def of(what: str) -> str:
        return digest(what, seed, host.name, length=64)

    full = host.tier >= 2
    return DigestFacts(
        sudoers=of("sudoers"),
        firewall=of("firewall") if full else "",
        firewall_rules=37 if full else None,
        firewall_backend="nft" if full else "",
        sshd_effective=of("sshd") if full else "",
        sshd={"permitrootlogin": "prohibit-password", "passwordauthentication": "yes"}
        if full and host.name == "gw-fra-1"
        else ({"permitrootlogin": "no", "passwordauthentication": "no"} if full else {}),
        units=of("units"),
        crontabs=of("crontabs"),
        authorized_keys=of("keys"),
    )


def packages(host: SimHost) -> Iterator[Package]:
    """Rows of the table ``packages``."""
    lists = package_lists()
    kind = catalog().systems[host.system].packages
    lines = list(lists.deb if kind == "deb" else lists.rpm)
    if host.gpu and catalog().gpus[host.gpu].vendor == "nvidia":
        branch = host.driver.split(".")[0]
        lines += lists.nvidia
        for name in lists.nvidia_driver:
            joined = f"{name.removesuffix('-server')}-{branch}"
            joined += "-server" if name.endswith("-server") else ""
            lines.append(f"{joined} {host.driver}-0ubuntu0.22.04.1")
    elif host.gpu:
        lines += lists.amd
    arch = "amd64" if kind == "deb" else "x86_64"
    for line in lines:
        name, version, *source = line.split()
        yield Package(
            key=f"{kind}/{name}/{arch}",
            kind=kind,
            name=name,
            version=version,
            arch=arch,
            source=source[0] if source else name,
            source_version=version,
        )


def python(host: SimHost) -> Iterator[PyDist]:
    """Rows of the table ``pydists``."""
    for service in host.services:
        if service.python is not None:
            folder, name = service.python
            for line in package_lists().python[name]:
                dist, version = line.split()
                yield PyDist(key=f"{folder}/{dist}", environment=folder, name=dist, version=version)


def containers(host: SimHost, seed: int) -> Iterator[Container]:
    """Rows of the table ``containers``; pids are filled in by the simulation."""
    for service in host.services:
        if service.image is not None:
            image, runtime = service.image
            yield Container(
                key=service.container + digest("container", seed, host.name, length=52),
                name=service.unit.removesuffix(".service"),
                image=image,
                digest="sha256:" + digest("image", image, length=64),
                runtime=runtime,
                state="running",
            )


def models(host: SimHost) -> Iterator[ModelVersion]:
    """Rows of the table ``models``: the version served, and the one before it."""
    for service in host.services:
        if service.model is None:
            continue
        model = service.model
        for version, current in ((model.version, True), (f"{model.version}-rc1", False)):
            yield ModelVersion(
                key=f"{model.source}/{version}",
                source=model.source,
                kind=model.kind,
                unit=service.unit,
                path=f"{MODELS}/{model.source}/{version}",
                version=version,
                current=current,
                size_bytes=model.size_bytes,
                files=model.files,
                modified=MODIFIED,
                url="http://127.0.0.1:8000/v1/models" if model.kind == "vllm" else "",
            )


def accounts(host: SimHost, seed: int) -> Iterator[Account]:
    """Rows of the table ``accounts``."""
    people = [("root", 0), ("wfmon", 1001), ("mara", 1002), ("jonas", 1003), ("svc-deploy", 1004)]
    for name, uid in people:
        home = f"/home/{name}" if uid else "/root"
        groups = f"{name},sudo" if name in ("mara", "jonas") else name
        keys = digest("key", seed, name, length=64) if host.tier >= 2 else None
        yield Account(name, uid, uid, home, "/bin/bash", groups, name == "wfmon", 1, keys)
    for item in host.services:
        home = f"/var/lib/{item.user}"
        yield Account(item.user, item.uid, item.uid, home, "/usr/sbin/nologin", item.user, True, 0)


def mounts(host: SimHost) -> Iterator[Mount]:
    """Rows of the table ``mounts``."""
    relatime = "rw,relatime"
    yield Mount("/", "/dev/mapper/vg0-root", "ext4", relatime, "plain", 224_000, 61_340)
    yield Mount("/boot/efi", "/dev/nvme0n1p1", "vfat", relatime, "plain", 1_098, 6)
    size = 61_000_000 if host.role == "model-store" else 14_300_000
    if host.role != "gateway":
        options = "rw,nosuid,nodev,noexec,relatime"
        yield Mount(MODELS, "/dev/mapper/models", "xfs", options, "luks", size, size * 43 // 100)
