"""Names of torch devices, checked before anything is put there."""

from __future__ import annotations

import re

import torch

from vizsla.errors import UsageError

__all__ = ["DEVICE_PATTERN", "open_device"]

DEVICE_PATTERN = r"^(cpu|cuda(:\d{1,3})?)$"


def open_device(name: str) -> torch.device:
    """Return a device that can be used.

    Raises:
        UsageError: Not ``cpu``, ``cuda`` or ``cuda:N``; or torch has no CUDA, or sees no such GPU.

    Example:
        >>> open_device("cpu").type
        'cpu'
        >>> open_device("gpu")
        Traceback (most recent call last):
        vizsla.errors.UsageError: device 'gpu': give cpu, cuda, or cuda:N for the GPU numbered N
    """
    if not re.match(DEVICE_PATTERN, name):
        raise UsageError(f"device {name!r}: give cpu, cuda, or cuda:N for the GPU numbered N")
    device = torch.device(name)
    if device.type == "cuda":
        _check_cuda(device)
    return device


def _check_cuda(device: torch.device) -> None:
    if torch.version.cuda is None:
        raise UsageError(
            f"device '{device}': this torch build has no CUDA: install vizsla[gpu] with a CUDA "
            "build of torch, or choose device=cpu"
        )
    found = torch.cuda.device_count()
    if (device.index or 0) >= found:
        raise UsageError(
            f"device '{device}': torch sees {found} GPUs; choose another, or device=cpu"
        )
