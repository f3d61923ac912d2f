"""`torch.cuda`, of which there is none: enough for programs that ask."""

from __future__ import annotations


def is_available() -> bool:
    """Whether there is a CUDA device: no.

    >>> is_available()
    False
    """
    return False


def device_count() -> int:
    """The number of CUDA devices: 0.

    >>> device_count()
    0
    """
    return 0
