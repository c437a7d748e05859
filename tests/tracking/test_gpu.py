"""NVML as it is on this machine: with a driver it is asked, without one there is no GPU."""

import pynvml
import pytest

from wavemix.tracking.gpu import read_gpu, visible_gpus


def num_gpus() -> int:
    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0


def test_all_gpus_of_the_driver_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert len(visible_gpus()) == num_gpus()


@pytest.mark.parametrize("hidden", ["", "-1", "99", "GPU-00000000-0000-0000-0000-000000000000"])
def test_hidden_gpus_are_not_seen(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert visible_gpus() == []


@pytest.mark.gpu
def test_a_gpu_tells_what_it_is_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    uuid = pynvml.nvmlDeviceGetUUID(visible_gpus()[0])
    for name in ("0", uuid, f"{uuid},-1,0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", name)
        (gpu,) = visible_gpus()
        told = read_gpu(gpu)
        assert 0 <= told["utilization_percentage"] <= 100
        assert 0 <= told["memory_usage_percentage"] <= 100
        assert told["memory_usage_megabytes"] >= 0
        assert told["power_usage_watts"] > 1
        assert 0 < told["temperature_celsius"] < 120
        assert read_gpu(gpu)["joules"] >= told["joules"] > 0
