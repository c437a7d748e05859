"""What a network costs: counted and measured for every task, in a process that hides nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from factories.tasks import CASES
from factories.tiny import raw_set
from wavemix import config
from wavemix.data import Options, make_plan, write_shards
from wavemix.data.loader import stack
from wavemix.models.count import count_parameters, multiply_adds
from wavemix.models.fuse import layer_by_layer
from wavemix.tasks import TASKS, Task
from wavemix.training.cost import BATCH, MOST_WORK, affordable, cost_of, measure_cost, work_of
from wavemix.training.evaluation import to_device
from wavemix.training.memory import ROOM, largest_that, on_line
from wavemix.training.rehearsal import repeated, training_step

CPU = torch.device("cpu")


def built(name: str) -> Task:
    section = TypeAdapter(config.Task).validate_json(json.dumps(CASES[name].section))
    return TASKS[name](section, CASES[name].classes)


def sample_of(name: str, task: Task) -> dict[str, torch.Tensor]:
    sample = task.train_transform(CASES[name].samples()[0], np.random.default_rng(0))
    return dict(to_device(stack([sample.fields()]), CPU))


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_has_a_cost(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavemix.training.cost.SECONDS", 0.01)
    task = built(name)
    sample = sample_of(name, task)
    cost = cost_of(task, sample, num_threads=1)
    assert cost.num_parameters == count_parameters(task.build_model())
    assert cost.input == {field: tuple(value.shape[1:]) for field, value in sample.items() if value.dim() > 1}
    assert cost.input
    assert cost.batch == BATCH
    assert 0 < cost.multiply_adds.executed <= 1.1 * cost.multiply_adds.written
    assert cost.inference_per_second > 0
    assert cost.training_per_second > 0


def test_the_work_is_that_of_one_input_as_written_and_as_executed() -> None:
    task = built("classification")
    model = task.build_model().eval()
    work = work_of(task, model, sample_of("classification", task))
    assert work.written == multiply_adds(layer_by_layer(model), (1, 3, 8, 8))
    assert work.executed == multiply_adds(model, (1, 3, 8, 8))


def test_a_step_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    task = built("classification")
    losses: list[float] = []
    loss = type(task).loss

    def kept(task: Task, prediction: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        value = loss(task, prediction, batch)
        losses.append(value.item())
        return value

    monkeypatch.setattr(type(task), "loss", kept)
    torch.manual_seed(0)
    step = training_step(task, sample_of("classification", task), 4, CPU)
    for _ in range(40):
        step()
    assert losses[-1] < losses[0] / 2


def test_one_sample_makes_a_batch_of_any_size() -> None:
    batch = repeated({"image": torch.arange(6.0).reshape(1, 1, 2, 3), "label": torch.tensor([7])}, 3, CPU)
    assert batch["label"].tolist() == [7, 7, 7]
    assert batch["image"].shape == (3, 1, 2, 3)
    assert batch["image"].is_contiguous()
    assert batch["image"][2].flatten().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("limit", [0, 1, 2, 54, 55, 64, 1000])
@pytest.mark.parametrize("first", [1, 5, 64])
def test_finds_the_largest_batch_that_fits(limit: int, first: int) -> None:
    tried: list[int] = []

    def fits(number: int) -> bool:
        tried.append(number)
        return number <= limit

    assert largest_that(fits, first=first) == limit
    assert tried[0] == first
    assert len(tried) == len(set(tried))


def test_the_estimate_lies_on_the_line_through_two_batches() -> None:
    assert on_line((64, 128), (1000, 1640), 2000) == 64 + 100  # 10 a sample over 360
    assert on_line((1, 2), (100, 150), 120) == 1
    assert on_line((1, 2), (100, 150), 40) == 0
    assert on_line((64, 128), (1000, 1000), 2000) is None


def test_a_large_network_is_measured_with_a_batch_that_a_cpu_can_do() -> None:
    assert affordable(1_000_000) == 64
    assert affordable(int(MOST_WORK / 3 / 64)) == 64
    assert affordable(int(MOST_WORK / 3 / 64) + 1) == 32
    assert affordable(int(MOST_WORK)) == 1
    assert affordable(1, most=1024) == 1024


def test_the_file_says_what_was_measured_whatever_this_process_held_before(tmp_path: Path) -> None:
    held = torch.ones(100 * 2**20)  # 400 MiB
    del held
    plan = make_plan(raw_set(num_classes=15), name="tiny", source={}, options=Options(samples_per_shard=10))
    task = built("classification")
    cost = measure_cost(task, write_shards(plan, tmp_path / "shards"), tmp_path)

    found = json.loads((tmp_path / "cost.json").read_text())
    assert found["input"] == {"image": [3, 8, 8]}
    assert found["num_parameters"] == cost.num_parameters == count_parameters(task.build_model())
    assert found["multiply_adds"] == {"written": cost.multiply_adds.written, "executed": cost.multiply_adds.executed}
    assert found["threads"] == torch.get_num_threads()
    assert found["batch"] == 64
    assert found["inference_per_second"] > 0
    assert found["training_per_second"] > 0
    if not torch.cuda.is_available():
        peak, largest = found["peak_memory"], found["largest_batch_16gb"]
        assert (peak["kind"], peak["batch"], largest["how"]) == ("resident", 64, "estimated")
        assert 0 < peak["bytes"] < 100 * 2**20
        assert largest["value"] > 64 * ROOM / 2**30  # 64 need less than a GiB


@pytest.mark.gpu
def test_on_a_gpu_memory_is_the_allocators_and_the_largest_batch_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavemix.training.memory.ROOM", 2**30)
    task = built("segmentation")
    cost = cost_of(task, sample_of("segmentation", task), num_threads=1)
    assert cost.peak_memory is not None
    assert cost.largest_batch_16gb is not None
    assert cost.peak_memory.kind == "device"
    weights, gradients_and_averages = 4 * cost.num_parameters, 12 * cost.num_parameters
    assert cost.peak_memory.bytes > weights + gradients_and_averages
    assert cost.largest_batch_16gb.how == "measured"
    assert cost.largest_batch_16gb.value > 64
