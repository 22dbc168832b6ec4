"""Running a converted net on the CPU with OpenVINO, in float32."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def compile_net(path: Path, *, threads: int, precision: str = "f32") -> Any:
    """Load a net from an OpenVINO file; gives a request, which is good for one thread at a time.

    `precision` is `f32`, or `bf16` where a lower one is good enough and the CPU has it.
    """
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": precision,
        # prepared kernels are kept per input shape: with the default, memory grows with every new size of photo
        "CPU_RUNTIME_CACHE_CAPACITY": 0,
    }
    return _core().compile_model(str(path), "CPU", settings).create_infer_request()


def infer(request: Any, batch: np.ndarray) -> list[np.ndarray]:
    """Run a net on one batch; gives its outputs, as arrays of their own."""
    results = request.infer([batch], share_inputs=True)
    return [results[index] for index in range(len(results))]


def infer_in_chunks(request: Any, batch: np.ndarray, size: int) -> list[np.ndarray]:
    """Run a net on a batch, `size` at a time."""
    parts = [infer(request, batch[start : start + size]) for start in range(0, len(batch), size)]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
