"""What a model answers to arrays is what the evaluation of its task answers to the same pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file

from factories.tasks import CASES, Case
from wavemix.config import Task
from wavemix.data.decode import decode_image
from wavemix.data.loader import stack
from wavemix.data.schema import ImagePair
from wavemix.errors import DataError
from wavemix.tasks import TASKS
from wavemix.training.evaluation import to_device
from wavemix.training.serving import SERVED, predict
from wavemix.training.trained import Trained, load_trained, save_trained


@pytest.fixture
def trained(case: Case, tmp_path: Path) -> Trained:
    config: Any = TypeAdapter(Task).validate_python(case.section)
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(TASKS[config.name](config, case.classes).build_model().state_dict(), weights)
    save_trained(tmp_path, weights, {"task": config.model_dump(mode="json"), "classes": list(case.classes)})
    return load_trained(tmp_path)


every_task = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def asked(case: Case, trained: Trained) -> Any:
    """The pictures of the samples as a server gets them, and the batch that evaluation makes of the same."""
    samples: list[Any] = [trained.task.eval_transform(sample) for sample in case.samples()]
    batch = to_device(stack([sample.fields() for sample in samples]), torch.device("cpu"))
    images = [sample.low[2] if isinstance(sample, ImagePair) else sample.image for sample in case.samples()]
    if trained.info["task"]["name"] == "inpainting":  # at the picture's own size, which evaluation is given here too
        holes = batch["mask"].numpy().transpose(0, 2, 3, 1).astype(np.uint8) * 255
        plain = (batch["image"].numpy().transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)
        return np.concatenate([plain, holes], axis=3), batch
    return np.stack(images), batch


@every_task
def test_the_answers_are_those_of_evaluation(case: Case, trained: Trained) -> None:
    images, batch = asked(case, trained)
    answers = predict(trained, images)
    with torch.inference_mode():
        theirs = trained.task.predict(trained.model, batch)
    name = trained.info["task"]["name"]
    if name == "classification":
        np.testing.assert_array_equal(answers, theirs.softmax(dim=1).numpy())
    elif name == "segmentation":
        np.testing.assert_array_equal(answers, theirs.argmax(dim=1).numpy())
    else:
        pictures = [decode_image(picture) for picture in trained.task.encode(theirs, batch)]
        np.testing.assert_array_equal(answers, pictures)


@every_task
def test_the_answers_have_the_type_and_shape_that_is_promised(case: Case, trained: Trained) -> None:
    served = SERVED[trained.info["task"]["name"]]
    answers = predict(trained, np.zeros((2, 21, 30, served.channels), np.uint8))
    assert answers.dtype == served.answer_dtype
    promised = served.answer_shape(len(case.classes))
    assert len(promised) == answers.ndim
    assert all(size in (-1, found) for size, found in zip(promised, answers.shape, strict=True))
    enlarged = 2 if trained.info["task"]["name"] == "super_resolution" else 1
    if answers.ndim > 2:
        assert answers.shape[:3] == (2, 21 * enlarged, 30 * enlarged)


@every_task
@pytest.mark.parametrize("change", ["type", "rank", "channels"])
def test_another_layout_is_refused_with_the_right_one(trained: Trained, change: str) -> None:
    channels = SERVED[trained.info["task"]["name"]].channels
    wrong = {
        "type": np.zeros((1, 8, 8, channels)),
        "rank": np.zeros((8, 8, channels), np.uint8),
        "channels": np.zeros((1, 8, 8, 1), np.uint8),
    }
    with pytest.raises(DataError, match=rf"give uint8 \[n, h, w, {channels}\]"):
        predict(trained, wrong[change])


@pytest.mark.parametrize("case", [CASES["inpainting"]], ids=["inpainting"])
def test_known_pixels_come_back_as_they_were(trained: Trained) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 18, 22, 4), dtype=np.uint8)
    images[..., 3] = 0
    images[:, 4:9, 5:13, 3] = 1
    filled = predict(trained, images)
    known = images[..., 3] == 0
    np.testing.assert_array_equal(filled[known], images[..., :3][known])
    assert (filled[~known] != images[..., :3][~known]).any()
