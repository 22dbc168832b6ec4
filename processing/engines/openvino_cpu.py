"""Running a converted net on the CPU with OpenVINO."""

import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry; every import of it in this program comes here first.

    Importing it otherwise reports to its maker: it writes below the home directory and forks a process that calls
    www.google-analytics.com. With the package that does it hidden, OpenVINO uses a stub of its own.
    """
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


@cache
def _core() -> Any:
    return import_openvino().Core()


def compile_net(path: Path) -> Any:
    """Load a net from an OpenVINO file; gives a request, which is good for one thread at a time."""
    settings = {
        # a host's cores are shared out by the number of its worker processes
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        # a CPU that has bfloat16 would use it: it moves a face's box by pixels
        "INFERENCE_PRECISION_HINT": "f32",
        # prepared layers are kept per input shape: with the default, memory grows with every new size of photo
        "CPU_RUNTIME_CACHE_CAPACITY": 0,
    }
    return _core().compile_model(str(path), "CPU", settings).create_infer_request()


def infer(request: Any, batch: np.ndarray) -> list[np.ndarray]:
    """Run a net on one batch; gives its outputs, as arrays of their own."""
    results = request.infer([batch], share_inputs=True)
    return [results[index] for index in range(len(results))]
