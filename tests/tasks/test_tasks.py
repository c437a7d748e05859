"""What every task must do, on samples as small as can be."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from factories.tasks import CASES, Case
from wavemix import config
from wavemix.data.decode import decode_image
from wavemix.data.loader import stack
from wavemix.tasks import TASKS, Goal, Task
from wavemix.tasks.base import Task as Protocol
from wavemix.training.evaluation import evaluate, to_device

CPU = torch.device("cpu")


@pytest.fixture(params=sorted(TASKS))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def task(case: Case) -> Task:
    section = TypeAdapter(config.Task).validate_python(case.section)
    return TASKS[section.name](section, case.classes)


@pytest.fixture
def samples(case: Case) -> list[Any]:
    return list(case.samples())


def batch_of(samples: list[Any]) -> dict[str, torch.Tensor]:
    return dict(to_device(stack([dict(sample.fields()) for sample in samples]), CPU))


@pytest.fixture
def batch(task: Task, samples: list[Any]) -> dict[str, torch.Tensor]:
    return batch_of([task.eval_transform(sample) for sample in samples])


@pytest.fixture
def scores(task: Task, batch: dict[str, torch.Tensor]) -> Callable[..., dict[str, float]]:
    def measure(model: torch.nn.Module, sizes: list[int], *, full: bool = False) -> dict[str, float]:
        parts = {name: value.split(sizes) for name, value in batch.items()}
        batches = [{name: split[index] for name, split in parts.items()} for index in range(len(sizes))]
        return task.summary(evaluate(model, task, batches, CPU, full=full))

    return measure


def members() -> list[str]:
    return [name for name in vars(Protocol) if not name.startswith("_")]


def test_every_task_has_a_case() -> None:
    assert set(CASES) == set(TASKS)


def test_has_the_members_of_the_protocol_and_cannot_change(task: Task) -> None:
    assert len(members()) == 14
    assert [name for name in members() if not hasattr(task, name)] == []
    assert is_dataclass(task)
    with pytest.raises(AttributeError):
        setattr(task, fields(task)[0].name, None)
    assert task.goal.better in ("max", "min")


def test_the_goal_knows_which_way_is_better() -> None:
    assert Goal("top1", "max").is_better(0.9, 0.8)
    assert not Goal("top1", "max").is_better(0.8, 0.9)
    assert Goal("loss", "min").is_better(0.8, 0.9)
    assert not Goal("loss", "min").is_better(0.9, 0.8)
    assert Goal("top1", "max").is_better(0.9, 0.9)
    assert Goal("loss", "min").is_better(0.9, 0.9)


def test_overfits_eight_samples(
    task: Task, case: Case, batch: dict[str, torch.Tensor], scores: Callable[..., dict[str, float]]
) -> None:
    torch.manual_seed(0)
    model = task.build_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    with torch.no_grad():
        before = float(task.loss(task.predict(model.train(), batch), batch))
    for _ in range(100):
        optimizer.zero_grad()
        task.loss(task.predict(model, batch), batch).backward()
        optimizer.step()
    found = scores(model, [8])
    assert found["loss"] < 0.1 * before
    assert task.goal.is_better(found[task.goal.metric], case.overfitted)


@pytest.mark.parametrize("full", [False, True])
def test_scores_do_not_depend_on_the_batches(task: Task, scores: Callable[..., dict[str, float]], full: bool) -> None:
    torch.manual_seed(0)
    model = task.build_model()
    whole = scores(model, [8], full=full)
    assert task.goal.metric in whole
    assert "loss" in whole
    for sizes in ([1] * 8, [5, 3]):
        assert scores(model, sizes, full=full) == pytest.approx(whole, rel=1e-5, nan_ok=True)


def test_the_variants_are_scored_by_the_same_metrics(task: Task, batch: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(0)
    model = task.build_model()
    own = task.summary(evaluate(model, task, [batch], CPU))
    for variant in task.variants().values():
        others = task.summary(evaluate(model, task, [batch], CPU, variant=variant))
        assert set(others) == set(own) - {"loss"}


def test_renders_pictures_that_can_be_shown(task: Task, batch: dict[str, torch.Tensor]) -> None:
    model = task.build_model().eval()
    with torch.inference_mode():
        rendered = task.render(task.predict(model, batch), batch)
    assert len(rendered) == 8
    for one in rendered:
        assert one.image_3hw.ndim == 3
        assert len(one.image_3hw) == 3
        assert 0 <= float(one.image_3hw.min()) <= float(one.image_3hw.max()) <= 1
        assert one.prob is None or 0 <= one.prob <= 1
        assert one.correct in (None, one.truth == one.prediction)


def test_answers_that_are_pictures_are_png_files(task: Task, batch: dict[str, torch.Tensor]) -> None:
    model = task.build_model().eval()
    with torch.inference_mode():
        files = task.encode(task.predict(model, batch), batch)
    assert len(files) in (0, 8)
    for content in files:
        assert content.startswith(b"\x89PNG")
        assert decode_image(content).ndim == 3


def test_training_changes_pictures_and_evaluation_does_not(task: Task, samples: list[Any]) -> None:
    first, again, other = (task.train_transform(samples[0], np.random.default_rng(seed)).fields() for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not all(np.array_equal(first[name], other[name]) for name in first)
    plain, same = (task.eval_transform(samples[0]).fields() for _ in range(2))
    assert all(np.array_equal(plain[name], same[name]) for name in plain)


def test_a_batch_for_training_is_a_function_of_the_generator(task: Task, samples: list[Any]) -> None:
    drawn = [task.train_transform(sample, np.random.default_rng(3)) for sample in samples]
    first, again = (task.train_batch(batch_of(drawn), np.random.default_rng(4)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    model = task.build_model()
    assert task.loss(task.predict(model, first), first).requires_grad
