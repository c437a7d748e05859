"""What every task must do, on pictures as small as can be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from wavemix import config
from wavemix.data import LabelledImage, Record
from wavemix.data.decode import encode_jpeg
from wavemix.data.loader import stack
from wavemix.tasks import TASKS, Goal, Task
from wavemix.tasks.base import Task as Protocol
from wavemix.training.evaluation import to_device

SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "classification": {
        "name": "classification",
        "model": {"dim": 16, "depth": 2, "in_channels": 3},
        "image_size": 8,
        "mean": (0.5, 0.4, 0.3),
        "std": (0.2, 0.25, 0.3),
        "augment": {"shift": 0.1, "rotate": 10.0},
    }
}
"""The smallest params.yaml section of each task; a new task must be added here, or these tests fail."""

CLASSES = ("cat", "dog", "cow")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads only wait for each other on networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    section = TypeAdapter(config.Task).validate_python(SECTIONS[request.param])
    return TASKS[request.param](section, CLASSES)


@pytest.fixture
def samples() -> list[LabelledImage]:
    generator = np.random.default_rng(0)
    return [
        LabelledImage(f"{number}", generator.integers(0, 256, (9, 12, 3), dtype=np.uint8), number % 3)
        for number in range(8)
    ]


@pytest.fixture
def batch_of(task: Task) -> Callable[[list[Any]], dict[str, torch.Tensor]]:
    def make(samples: list[Any]) -> dict[str, torch.Tensor]:
        fields_of_all = [dict(task.eval_transform(sample).fields()) for sample in samples]
        return dict(to_device(stack(fields_of_all), torch.device("cpu")))

    return make


def members() -> list[str]:
    return [name for name in vars(Protocol) if not name.startswith("_")]


def test_every_task_has_a_section_here() -> None:
    assert set(SECTIONS) == set(TASKS)


def test_has_the_members_of_the_protocol_and_cannot_change(task: Task) -> None:
    assert len(members()) == 10
    assert [name for name in members() if not hasattr(task, name)] == []
    assert is_dataclass(task)
    with pytest.raises(AttributeError):
        setattr(task, fields(task)[0].name, None)
    assert task.goal.better in ("max", "min")


def test_what_is_scored_is_decoded_exactly_and_what_is_trained_on_only_as_far_as_needed() -> None:
    section = TypeAdapter(config.Task).validate_python(SECTIONS["classification"])  # pictures of 8x8
    task = TASKS["classification"](section, CLASSES)
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    record = Record("a", {"jpg": encode_jpeg(noise, 90), "cls": b"1"})
    assert task.decode(record, exact=True).image.shape == (64, 96, 3)
    assert task.decode(record, exact=False).image.shape == (8, 12, 3)


def test_the_goal_knows_which_way_is_better() -> None:
    assert Goal("top1", "max").is_better(0.9, 0.8)
    assert not Goal("top1", "max").is_better(0.8, 0.9)
    assert Goal("loss", "min").is_better(0.8, 0.9)
    assert not Goal("loss", "min").is_better(0.9, 0.8)
    assert Goal("top1", "max").is_better(0.9, 0.9)
    assert Goal("loss", "min").is_better(0.9, 0.9)


def test_overfits_eight_samples(task: Task, samples: list[Any], batch_of: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    model, batch = task.build_model(), batch_of(samples)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    with torch.no_grad():
        before = float(task.loss(task.predict(model.train(), batch), batch))
    for _ in range(100):
        optimizer.zero_grad()
        task.loss(task.predict(model, batch), batch).backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        prediction = task.predict(model, batch)
    assert float(task.loss(prediction, batch)) < 0.1 * before
    assert float(task.metrics(prediction, batch)["top1"].value) == 1.0


def test_the_goal_is_among_the_metrics_also_of_no_sample(
    task: Task, samples: list[Any], batch_of: Callable[..., Any]
) -> None:
    model, batch = task.build_model().eval(), batch_of(samples)
    with torch.inference_mode():
        prediction = task.predict(model, batch)
    metrics = task.metrics(prediction, batch)
    nothing = task.metrics(prediction[:0], {name: value[:0] for name, value in batch.items()})
    assert task.goal.metric in metrics
    assert nothing.keys() == metrics.keys()
    assert float(nothing[task.goal.metric].count) == 0


def test_renders_pictures_that_can_be_shown(task: Task, samples: list[Any], batch_of: Callable[..., Any]) -> None:
    model, batch = task.build_model().eval(), batch_of(samples)
    with torch.inference_mode():
        rendered = task.render(task.predict(model, batch), batch)
    assert len(rendered) == len(samples)
    for one in rendered:
        assert one.image_3hw.shape == (3, 8, 8)
        assert 0 <= float(one.image_3hw.min()) <= float(one.image_3hw.max()) <= 1
        assert one.prob is None or 0 <= one.prob <= 1
        assert one.correct in (None, one.truth == one.prediction)


def test_normalises_with_its_own_numbers(task: Task, batch_of: Callable[..., Any], samples: list[Any]) -> None:
    model, seen = task.build_model().eval(), []
    model.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    batch = batch_of(samples)
    with torch.inference_mode():
        task.predict(model, batch)
    mean, std = (torch.tensor(getattr(task, name))[:, None, None] for name in ("mean", "std"))
    torch.testing.assert_close(seen[0], (batch["image"] - mean) / std)


def test_training_changes_pictures_and_evaluation_does_not(task: Task, samples: list[Any]) -> None:
    first, again, other = (task.train_transform(samples[0], np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    plain = task.eval_transform(samples[0])
    np.testing.assert_array_equal(plain.image, task.eval_transform(samples[0]).image)
    assert first.image.shape == other.image.shape == plain.image.shape == (8, 8, 3)
    assert not np.array_equal(first.image, plain.image)


def test_a_grey_task_shows_grey_pictures(samples: list[Any]) -> None:
    section = {**SECTIONS["classification"], "mean": (0.5,), "std": (0.2,)}
    section["model"] = {**section["model"], "in_channels": 1}
    task = TASKS["classification"](config.Classification.model_validate(section), CLASSES)
    batch = to_device(stack([dict(task.eval_transform(sample).fields()) for sample in samples]), torch.device("cpu"))
    assert batch["image"].shape == (8, 1, 8, 8)
    answers = torch.eye(3)[batch["label"]] * 20
    answers[0] = torch.tensor([0.0, 20.0, 0.0])
    rendered = task.render(answers, batch)
    assert rendered[0].image_3hw.shape == (3, 8, 8)
    assert (rendered[0].truth, rendered[0].prediction, rendered[0].correct) == ("cat", "dog", False)
    assert (rendered[1].truth, rendered[1].prediction, rendered[1].correct) == ("dog", "dog", True)
    assert rendered[1].prob == pytest.approx(1.0)


def test_no_augmentation_trains_on_what_is_evaluated(samples: list[Any]) -> None:
    section = {**SECTIONS["classification"], "augment": {}}
    task = TASKS["classification"](config.Classification.model_validate(section), CLASSES)
    sample = replace(samples[0])
    trained_on = task.train_transform(sample, np.random.default_rng(0)).image.astype(int)
    assert np.abs(trained_on - task.eval_transform(sample).image).max() <= 2  # another resizing, much faster
