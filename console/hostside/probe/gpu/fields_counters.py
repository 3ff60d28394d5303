"""Error counters of an NVIDIA GPU: one batched call, plus two for the codec engines."""

from __future__ import annotations

from typing import Any

from .nvml import Nvml

ALL_LINKS = 0xFFFFFFFF

# (field of GpuCounters, NVML_FI_* id, scope). Two ids of one name are added up.
FIELDS: tuple[tuple[str, int, int | None], ...] = (
    ("ecc_corrected_volatile", 3, None),
    ("ecc_uncorrected_volatile", 4, None),
    ("ecc_corrected", 5, None),
    ("ecc_uncorrected", 6, None),
    ("retired_pages_sbe", 29, None),
    ("retired_pages_dbe", 30, None),
    ("retired_pages_pending", 31, None),
    ("nvlink_crc_errors", 38, None),
    ("nvlink_crc_errors", 45, None),
    ("nvlink_replay_errors", 52, None),
    ("power_violation_ns", 74, None),
    ("thermal_violation_ns", 75, None),
    ("mem_temp_c", 82, None),
    ("energy_mj", 83, None),
    ("pcie_replays", 94, None),
    ("nvlink_tx_kib", 138, ALL_LINKS),
    ("nvlink_rx_kib", 139, ALL_LINKS),
    ("remapped_corrected", 142, None),
    ("remapped_uncorrected", 143, None),
    ("remap_pending", 144, None),
    ("remap_failure", 145, None),
    ("pcie_tx_bytes", 197, None),
    ("pcie_rx_bytes", 198, None),
    ("recovery_action", 230, None),
)

_UNION = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by nvmlValueType_t


class CounterReader:
    """Reads the counters of one device; fields it does not have leave the batch for good."""

    def __init__(self, nvml: Nvml, handle: Any, index: int) -> None:
        self._nvml = nvml
        self._handle = handle
        self._index = index
        self._without: set[int] = set()

    def read(self) -> dict[str, Any]:
        """Fields of ``GpuCounters`` that the device has, without ``index``."""
        found: dict[str, Any] = {}
        wanted = [field for field in FIELDS if field[1] not in self._without]
        ids: list[Any] = [
            number if scope is None else (number, scope) for _, number, scope in wanted
        ]
        values = None
        if ids:
            values = self._nvml.call(
                "nvmlDeviceGetFieldValues", self._handle, ids, index=self._index
            )
        for (name, number, _), value in zip(wanted, values or ()):
            if value.nvmlReturn:
                if self._nvml.for_good(value.nvmlReturn):
                    self._without.add(number)
                continue
            amount = _number(value)
            if amount is not None:
                found[name] = found.get(name, 0) + amount
        for name, function in (
            ("enc_util_pct", "nvmlDeviceGetEncoderUtilization"),
            ("dec_util_pct", "nvmlDeviceGetDecoderUtilization"),
        ):
            share = self._nvml.call(function, self._handle, index=self._index)
            if share is not None:
                found[name] = float(share[0])
        return found


def _number(value: Any) -> int | None:
    if not 0 <= value.valueType < len(_UNION):
        return None
    return int(getattr(value.value, _UNION[value.valueType]))
