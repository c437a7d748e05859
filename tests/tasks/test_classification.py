"""Classification: what is seen of a picture, normalisation, and how answers are shown."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from factories.tasks import CASES, CLASSES, labelled
from wavemix import config
from wavemix.data import LabelledImage, Record
from wavemix.data.decode import encode_jpeg
from wavemix.data.loader import stack
from wavemix.tasks import TASKS, Task
from wavemix.training.evaluation import to_device


def built(**changes: Any) -> Task:
    section = {**CASES["classification"].section, **changes}
    return TASKS["classification"](config.Classification.model_validate(section), CLASSES)


@pytest.fixture
def samples() -> list[LabelledImage]:
    return labelled()


def batch_of(task: Task, samples: list[LabelledImage]) -> dict[str, torch.Tensor]:
    return dict(to_device(stack([dict(task.eval_transform(one).fields()) for one in samples]), torch.device("cpu")))


def test_what_is_scored_is_decoded_exactly_and_what_is_trained_on_only_as_far_as_needed() -> None:
    task = built()  # pictures of 8x8
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    record = Record("a", {"jpg": encode_jpeg(noise, 90), "cls": b"1"})
    assert task.decode(record, exact=True).image.shape == (64, 96, 3)
    assert task.decode(record, exact=False).image.shape == (8, 12, 3)


def test_normalises_with_its_own_numbers(samples: list[LabelledImage]) -> None:
    task, seen = built(), []
    model = task.build_model().eval()
    model.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    batch = batch_of(task, samples)
    with torch.inference_mode():
        task.predict(model, batch)
    mean, std = (torch.tensor(getattr(task, name))[:, None, None] for name in ("mean", "std"))
    torch.testing.assert_close(seen[0], (batch["image"] - mean) / std)


def test_pictures_have_the_size_that_was_asked_for(samples: list[LabelledImage]) -> None:
    task = built()
    for changed in (task.train_transform(samples[0], np.random.default_rng(0)), task.eval_transform(samples[0])):
        assert changed.image.shape == (8, 8, 3)


def test_a_grey_task_shows_grey_pictures(samples: list[LabelledImage]) -> None:
    model = {**CASES["classification"].section["model"], "in_channels": 1}
    task = built(mean=(0.5,), std=(0.2,), model=model)
    batch = batch_of(task, samples)
    assert batch["image"].shape == (8, 1, 8, 8)
    answers = torch.eye(3)[batch["label"]] * 20
    answers[0] = torch.tensor([0.0, 20.0, 0.0])
    rendered = task.render(answers, batch)
    assert rendered[0].image_3hw.shape == (3, 8, 8)
    assert (rendered[0].truth, rendered[0].prediction, rendered[0].correct) == ("cat", "dog", False)
    assert (rendered[1].truth, rendered[1].prediction, rendered[1].correct) == ("dog", "dog", True)
    assert rendered[1].prob == pytest.approx(1.0)


def test_no_augmentation_trains_on_what_is_evaluated(samples: list[LabelledImage]) -> None:
    task, sample = built(augment={}), replace(samples[0])
    trained_on = task.train_transform(sample, np.random.default_rng(0)).image.astype(int)
    assert np.abs(trained_on - task.eval_transform(sample).image).max() <= 2  # another resizing, much faster
