"""GPUs of this host: NVIDIA by NVML and /proc, AMD and Intel by DRM fdinfo and sysfs.

Nothing here blocks for longer than a moment: driver calls run in threads of their own, and the
methods of ``Gpus`` answer from the newest sample with its age.
"""

from __future__ import annotations

from .gpus import Gpus

__all__ = ["Gpus"]
