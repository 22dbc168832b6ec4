"""The device of torch modules. Imports torch where it is used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def exact_device(name: str) -> "torch.device":
    """Give a device on which this process computes float32 as float32.

    By default torch convolves in TF32 on CUDA, whose ten bits of mantissa move a face's box by pixels.
    """
    import torch

    torch.backends.fp32_precision = "ieee"
    return torch.device(name)
