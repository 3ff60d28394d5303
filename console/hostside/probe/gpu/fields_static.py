"""What an NVIDIA GPU and its driver are: identity, firmware, modes and protections."""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any, Dict

from .fields_fast import mib, watts
from .nvml import Nvml

MAX_LINKS = 36
SHUTDOWN, SLOWDOWN = 0, 1  # nvmlTemperatureThresholds_t
APPLICATION_CLOCKS, AUTO_BOOST = 0, 1  # nvmlRestrictedAPI_t
CC_ENVIRONMENTS = {0: "none", 1: "simulation", 2: "production"}
CC_MULTI_GPU = {0: "none", 1: "protected-pcie", 2: "nvlink-encryption"}
FABRIC_STATES = {1: "not-started", 2: "in-progress", 3: "ready"}  # nvmlGpuFabricState_t; 0: none
MAX_TEXT = 200

Facts = Dict[str, Any]


def text(value: Any) -> str | None:
    """Text of the driver, decoded and bounded; None stays None."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return None if value is None else str(value).strip()[:MAX_TEXT]


def flag(value: Any) -> bool | None:
    """``nvmlEnableState_t`` as a truth value."""
    return None if value is None else bool(value)


def pci_address(bus_id: Any) -> str | None:
    """``00000000:10:1C.0`` as the kernel writes it: ``0000:10:1c.0``."""
    raw = text(bus_id)
    if not raw or raw.count(":") != 2:
        return None
    domain, rest = raw.lower().split(":", 1)
    if len(domain) == 8 and domain.startswith("0000"):
        domain = domain[4:]
    return f"{domain}:{rest}"


class StaticReader:
    """Reads ``GpuStatic`` of one device."""

    def __init__(self, nvml: Nvml, handle: Any, index: int) -> None:
        self._nvml = nvml
        self._handle = handle
        self._index = index
        self._mig: Any = None

    def read(self) -> Facts:
        """Fields of ``GpuStatic`` that the device has, without ``index``."""
        mig = self._get("nvmlDeviceGetMigMode")
        if mig != self._mig and self._mig is not None:
            self._nvml.forget(self._index)  # other calls work in MIG mode than without
        self._mig = mig
        facts = {"vendor": "nvidia"}
        for part in (
            self._identity(),
            self._modes(mig),
            self._limits(),
            self._links(),
            self._fabric(),
        ):
            facts.update(part)
        return {key: value for key, value in facts.items() if value is not None}

    def _get(self, function: str, *args: Any) -> Any:
        return self._nvml.call(function, self._handle, *args, index=self._index)

    def _pair(self, function: str) -> Any:
        return self._get(function) or (None, None)

    def _identity(self) -> Facts:
        pci = self._get("nvmlDeviceGetPciInfo")
        checksum = self._get("nvmlDeviceGetInforomConfigurationChecksum")
        # The binding's default arguments are shared between threads: give our own.
        gsp = self._get("nvmlDeviceGetGspFirmwareMode", ctypes.c_uint(), ctypes.c_uint())
        return {
            "name": text(self._get("nvmlDeviceGetName")),
            "uuid": text(self._get("nvmlDeviceGetUUID")),
            "serial": text(self._get("nvmlDeviceGetSerial")),
            "pci": None if pci is None else pci_address(pci.busId),
            "driver": text(self._nvml.call("nvmlSystemGetDriverVersion")),
            "vbios": text(self._get("nvmlDeviceGetVbiosVersion")),
            "inforom_image": text(self._get("nvmlDeviceGetInforomImageVersion")),
            "inforom_checksum": None if checksum is None else f"0x{checksum:08x}",
            "gsp_firmware": text(self._get("nvmlDeviceGetGspFirmwareVersion")),
            "gsp_enabled": None if gsp is None else bool(gsp[0]),
            "cc_certificate": self._certificate(),
        }

    def _certificate(self) -> str | None:
        """Digest of the chain; whether to believe it is for an attestation service to say."""
        answer = self._get("nvmlDeviceGetConfComputeGpuCertificate")
        if answer is None or not answer.certChainSize:
            return None
        return hashlib.sha256(bytes(answer.certChain[: answer.certChainSize])).hexdigest()

    def _modes(self, mig: Any) -> Facts:
        ecc = self._pair("nvmlDeviceGetEccMode")
        current, pending = mig or (None, None)
        encryption = self._get("nvmlDeviceGetDramEncryptionMode")
        return {
            "mig_mode": flag(current),
            "mig_pending": flag(pending),
            "ecc_mode": flag(ecc[0]),
            "ecc_pending": flag(ecc[1]),
            "persistence": flag(self._get("nvmlDeviceGetPersistenceMode")),
            "compute_mode": self._get("nvmlDeviceGetComputeMode"),
            "accounting": flag(self._get("nvmlDeviceGetAccountingMode")),
            "api_application_clocks_restricted": flag(
                self._get("nvmlDeviceGetAPIRestriction", APPLICATION_CLOCKS)
            ),
            "api_auto_boost_restricted": flag(self._get("nvmlDeviceGetAPIRestriction", AUTO_BOOST)),
            "display_active": flag(self._get("nvmlDeviceGetDisplayActive")),
            "dram_encryption": None if encryption is None else flag(encryption[0]),
        }

    def _limits(self) -> Facts:
        memory = self._get("nvmlDeviceGetMemoryInfo")
        bar1 = self._get("nvmlDeviceGetBAR1MemoryInfo")
        limit = self._get("nvmlDeviceGetPowerManagementLimit")
        if limit is None:
            limit = self._get("nvmlDeviceGetEnforcedPowerLimit")
        slowdown = self._get("nvmlDeviceGetTemperatureThreshold", SLOWDOWN)
        shutdown = self._get("nvmlDeviceGetTemperatureThreshold", SHUTDOWN)
        return {
            "mem_total_mib": None if memory is None else mib(memory.total),
            "bar1_total_mib": None if bar1 is None else mib(bar1.bar1Total),
            "bar1_used_mib": None if bar1 is None else mib(bar1.bar1Used),
            "power_limit_w": watts(limit),
            "power_max_limit_w": watts(
                self._pair("nvmlDeviceGetPowerManagementLimitConstraints")[1]
            ),
            "temp_slowdown_c": None if slowdown is None else float(slowdown),
            "temp_shutdown_c": None if shutdown is None else float(shutdown),
        }

    def _links(self) -> Facts:
        return {
            "pcie_gen": self._get("nvmlDeviceGetCurrPcieLinkGeneration"),
            "pcie_gen_max": self._get("nvmlDeviceGetMaxPcieLinkGeneration"),
            "pcie_width": self._get("nvmlDeviceGetCurrPcieLinkWidth"),
            "pcie_width_max": self._get("nvmlDeviceGetMaxPcieLinkWidth"),
            "nvlinks_active": self._nvlinks(),
        }

    def _fabric(self) -> Facts:
        shape = getattr(self._nvml.api, "c_nvmlGpuFabricInfo_v2_t", None)
        if shape is None:
            return {}
        info = shape()
        # This wrapper of the binding fills the struct and gives a code back.
        code = self._get("nvmlDeviceGetGpuFabricInfoV", ctypes.byref(info))
        return fabric_facts(info) if code == 0 else {}

    def _nvlinks(self) -> int | None:
        active: int | None = None
        for link in range(MAX_LINKS):
            state = self._get("nvmlDeviceGetNvLinkState", link)
            if state is None:
                break
            active = (active or 0) + int(bool(state))
        return active


def fabric_facts(info: Any) -> Facts:
    """Registration with the NVLink switches (nvml.h, ``nvmlGpuFabricInfo_v2_t``)."""
    state = FABRIC_STATES.get(info.state)
    if state is None:
        return {}
    if state == "ready" and info.status:
        return {"fabric": f"failed: error {info.status}"}
    return {"fabric": state, "fabric_clique": info.cliqueId if state == "ready" else None}


def system_facts(nvml: Nvml) -> Facts:
    """The part of ``GpuDriver`` that NVML tells, without what it does not know."""
    cuda = nvml.call("nvmlSystemGetCudaDriverVersion_v2")
    facts: Facts = {
        "version": text(nvml.call("nvmlSystemGetDriverVersion")),
        "nvml": text(nvml.call("nvmlSystemGetNVMLVersion")),
        "cuda": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
    }
    state = nvml.call("nvmlSystemGetConfComputeState")
    if state is not None:
        facts["cc_environment"] = CC_ENVIRONMENTS.get(state.environment, str(state.environment))
        facts["cc_feature"] = bool(state.ccFeature)
        facts["cc_dev_tools"] = bool(state.devToolsMode)
    facts["cc_multi_gpu"] = _multi_gpu(nvml)
    return {key: value for key, value in facts.items() if value is not None}


def _multi_gpu(nvml: Nvml) -> str | None:
    shape = getattr(nvml.api, "c_nvmlSystemConfComputeSettings_v1_t", None)
    if shape is None:
        return None
    settings = shape()
    # This wrapper of the binding gives the code back instead of raising it.
    if nvml.call("nvmlSystemGetConfComputeSettings", ctypes.byref(settings)) != 0:
        return None
    return CC_MULTI_GPU.get(settings.multiGpuMode, str(settings.multiGpuMode))
