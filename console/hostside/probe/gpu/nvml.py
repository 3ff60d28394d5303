"""Calls of the NVIDIA management library that cannot fail: an answer, None, or ``Lost``.

The binding is pynvml, imported only after ``libnvidia-ml.so.1`` has loaded. What a driver does
not have (missing symbol, not supported, another struct version, no permission) is found out once
for each call and device and never asked again: each such call takes the driver's global lock.
"""

from __future__ import annotations

import ctypes
import importlib
import re
import threading
from typing import Any, Tuple

Key = Tuple[Any, ...]  # call, device (None: any), numbers among the arguments

LIBRARY = "libnvidia-ml.so.1"

UNINITIALIZED = 1
INVALID_ARGUMENT = 2
NOT_SUPPORTED = 3
NO_PERMISSION = 4
DRIVER_NOT_LOADED = 9
TIMEOUT = 10
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
LIB_RM_VERSION_MISMATCH = 18
VGPU_ECC_NOT_SUPPORTED = 22
ARGUMENT_VERSION_MISMATCH = 25
DEPRECATED = 26
GPU_NOT_FOUND = 28
UNKNOWN = 999

_FOR_GOOD = (
    INVALID_ARGUMENT,
    NOT_SUPPORTED,
    NO_PERMISSION,
    VGPU_ECC_NOT_SUPPORTED,
    ARGUMENT_VERSION_MISMATCH,
    DEPRECATED,
)
_LOST = {
    GPU_IS_LOST: "GPU is lost",
    RESET_REQUIRED: "GPU requires a reset",
    GPU_NOT_FOUND: "GPU is not found",
    UNINITIALIZED: "driver was unloaded",
    DRIVER_NOT_LOADED: "driver is not loaded",
}
_INIT = {
    LIB_RM_VERSION_MISMATCH: "the NVML library and the loaded kernel module differ in version",
    DRIVER_NOT_LOADED: "the NVIDIA kernel module is not loaded",
    NO_PERMISSION: "no permission to open the NVIDIA device nodes",
}


class Lost(Exception):
    """The device gives no answer at all now; ``reopen`` when only a new start of NVML can help."""

    def __init__(self, reason: str, reopen: bool = False) -> None:
        super().__init__(reason)
        self.reopen = reopen


def loadable() -> bool:
    """Whether the library loads. Opens no device and calls nothing in it."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def short(function: str) -> str:
    """``nvmlDeviceGetComputeRunningProcesses_v3`` as ``compute-running-processes``."""
    bare = re.sub(r"^nvml(Device|System)?(Get|Register)?", "", function)
    bare = re.sub(r"_v\d+$", "", bare)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", bare).lower()


class Nvml:
    """The library, with what it cannot do remembered. Safe to use from several threads."""

    def __init__(self) -> None:
        self.api: Any = None
        self.denied: dict[str, str] = {}
        self._without: set[Key] = set()
        self._lock = threading.Lock()
        self._opened = 0

    def open(self) -> str:
        """Load and initialise; an error for people, or empty. May hang in the driver."""
        if self.api is None:
            try:
                self.api = importlib.import_module("pynvml")
            except ImportError as error:
                return f"the NVML binding was not sent along ({error})"
        try:
            self.api.nvmlInit()
        except self.api.NVMLError as error:
            return self._explain(error)
        self._opened += 1
        self._without.clear()
        return ""

    def _explain(self, error: Any) -> str:
        return _INIT.get(error.value) or f"NVML does not start: {self.name(error)}"

    def name(self, error: Any) -> str:
        """Text of an NVML error; never raises, also where the library does not know the code."""
        try:
            return str(error)
        except Exception:
            return f"error {getattr(error, 'value', '?')}"

    def close(self) -> None:
        """Undo every ``open``. Only when no thread is inside the library."""
        while self._opened:
            self._opened -= 1
            try:
                self.api.nvmlShutdown()
            except self.api.NVMLError:
                pass

    def for_good(self, code: int) -> bool:
        """Whether an error says that the answer will never come."""
        return code in _FOR_GOOD

    def retries(self, code: int) -> bool:
        """Whether an error may go away by itself."""
        return code not in _FOR_GOOD and code != FUNCTION_NOT_FOUND

    def text(self, code: int) -> str:
        """The library's own words for an error code."""
        return self.name(self.api.NVMLError(code))

    def forget(self, index: int) -> None:
        """Ask again what device ``index`` did not support, because its mode has changed."""
        with self._lock:
            self._without = {key for key in self._without if key[1] != index}

    def call(self, function: str, *args: Any, index: int = -1) -> Any:
        """The answer of ``function(*args)``, or None where it gives none.

        Raises Lost when the device or the driver is gone.
        """
        value, _ = self.attempt(function, *args, index=index)
        return value

    def attempt(self, function: str, *args: Any, index: int = -1) -> tuple[Any, int | None]:
        """Like ``call``, with the NVML error code that explains a None, where there is one."""
        # Numbers belong to the key: one wrapper may stand for several symbols of the library.
        numbers = tuple(a for a in args if isinstance(a, int))
        anywhere, key = (function, None, *numbers), (function, index, *numbers)
        if anywhere in self._without or key in self._without:
            return None, NOT_SUPPORTED
        bound = getattr(self.api, function, None)
        if bound is None:
            self._remember(anywhere)
            return None, FUNCTION_NOT_FOUND
        try:
            return bound(*args), None
        except self.api.NVMLError as error:
            code = int(error.value)
            return None, self._failed(
                function, anywhere if code == FUNCTION_NOT_FOUND else key, code
            )
        except self.api.NVMLLibraryMismatchError:
            self._remember(anywhere)
            return None, FUNCTION_NOT_FOUND
        except (ValueError, TypeError):  # text that is not UTF-8; another signature in the binding
            return None, None

    def _failed(self, function: str, key: Key, code: int) -> int:
        if code in _LOST:
            raise Lost(_LOST[code], reopen=code in (UNINITIALIZED, DRIVER_NOT_LOADED))
        if code == FUNCTION_NOT_FOUND or code in _FOR_GOOD:
            self._remember(key)
        if code == NO_PERMISSION:
            self.denied["gpu." + short(function)] = "root"
        return code

    def _remember(self, key: Key) -> None:
        with self._lock:
            self._without.add(key)
