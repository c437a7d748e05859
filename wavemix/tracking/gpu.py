"""What a node's GPUs tell of themselves, asked of the driver (NVML). It knows no node, no row and no torch.

Without a driver, or without ``nvidia-ml-py``, there is no GPU; what a GPU does not tell is left out.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

MEGABYTE = 1e6


def visible_gpus() -> list[Any]:
    """Handles of the GPUs that this process may use, in the order of CUDA_VISIBLE_DEVICES; all where it is not set.

    NVML counts by the place on the bus, as CUDA does with CUDA_DEVICE_ORDER=PCI_BUS_ID, or where all are of one kind.
    """
    try:
        import pynvml  # noqa: PLC0415

        pynvml.nvmlInit()
    except (ImportError, OSError):
        return []
    except pynvml.NVMLError:
        return []
    names = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(pynvml.nvmlDeviceGetCount()))))
    handles = []
    for name in filter(None, (name.strip() for name in names.split(","))):
        try:
            by_number = pynvml.nvmlDeviceGetHandleByIndex
            handles.append(by_number(int(name)) if name.isdecimal() else pynvml.nvmlDeviceGetHandleByUUID(name))
        except pynvml.NVMLError:  # CUDA too sees none from the first name on that it does not know
            break
    return handles


def read_gpu(handle: Any) -> dict[str, float]:
    """Utilisation, memory, power and temperature under MLflow's names, and joules since the driver was loaded."""
    import pynvml  # noqa: PLC0415

    def watts() -> Mapping[str, float]:
        return {"power_usage_watts": pynvml.nvmlDeviceGetPowerUsage(handle) / 1000}

    def memory() -> Mapping[str, float]:
        found = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return {
            "memory_usage_megabytes": found.used / MEGABYTE,
            "memory_usage_percentage": 100 * found.used / found.total,
        }

    def utilization() -> Mapping[str, float]:
        return {"utilization_percentage": pynvml.nvmlDeviceGetUtilizationRates(handle).gpu}

    def temperature() -> Mapping[str, float]:
        return {"temperature_celsius": pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)}

    def joules() -> Mapping[str, float]:
        return {"joules": pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000}

    readings: dict[str, float] = {}
    asked: tuple[Callable[[], Mapping[str, float]], ...] = (utilization, memory, watts, temperature, joules)
    for ask in asked:
        with suppress(pynvml.NVMLError):
            readings.update(ask())
    return readings
