"""Classification: what is seen of a picture, normalisation, and how answers are shown."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from factories.tasks import CASES, CLASSES, labelled
from wavemix import config
from wavemix.data import LabelledImage, Record
from wavemix.data.decode import encode_jpeg
from wavemix.data.loader import stack
from wavemix.tasks import TASKS, Task
from wavemix.training.evaluation import to_device

TIMM = {
    "random_resized_crop": {},
    "horizontal_flip_prob": 0.5,
    "rand_augment": {},
    "erase_prob": 0.25,
    "mix": {},
}


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


def trained_on(task: Task, samples: list[LabelledImage], seed: int) -> dict[str, torch.Tensor]:
    generator = np.random.default_rng(seed)
    drawn = [task.train_transform(sample, generator).fields() for sample in samples]
    return dict(task.train_batch(to_device(stack(drawn), torch.device("cpu")), generator))


def striped(number: int) -> list[LabelledImage]:
    """Noise of 24x32 pixels, the same for the same number: without stripes, with stripes across, and upright ones."""
    generator = np.random.default_rng(number)
    samples = []
    for index in range(number):
        image = generator.integers(0, 90, (24, 32, 3), dtype=np.uint8)
        rows, columns = np.indices((24, 32))
        image[(rows * 0, rows, columns)[index % 3] // 3 % 2 == 1] += 160
        samples.append(LabelledImage(f"{index}", image, index % 3))
    return samples


def test_equal_seeds_give_equal_batches() -> None:
    task, shown = built(image_size=16, augment=TIMM), striped(6)
    first, again, other = (trained_on(task, shown, seed) for seed in (0, 0, 1))
    assert set(first) == {"image", "label", "other_label", "share"}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["image"], other["image"])
    assert first["image"].shape == (6, 3, 16, 16)


def test_the_loss_of_a_mixed_batch_is_the_mixture_of_both_losses() -> None:
    logits_bk = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    for loss in ("cross_entropy", "binary_cross_entropy"):
        task = built(image_size=16, augment={"mix": {"cutmix_prob": 0.0}}, label_smoothing=0.1, loss=loss)
        batch = trained_on(task, striped(6), 0)
        (share,) = set(batch["share"].tolist())
        assert 0 < share < 1
        assert batch["other_label"].tolist() == batch["label"].tolist()[::-1]
        own, other = (task.loss(logits_bk, {"label": batch[name]}) for name in ("label", "other_label"))
        assert float(task.loss(logits_bk, batch)) == pytest.approx(float(share * own + (1 - share) * other))


def test_a_mixed_batch_can_be_cut_into_pieces() -> None:
    task = built(image_size=16, augment={"mix": {}}, label_smoothing=0.1)
    batch, logits_bk = trained_on(task, striped(6), 0), torch.eye(3).repeat(2, 1)
    parts = [{name: value[rows] for name, value in batch.items()} for rows in (slice(0, 4), slice(4, 6))]
    cut = (4 * task.loss(logits_bk[:4], parts[0]) + 2 * task.loss(logits_bk[4:], parts[1])) / 6
    assert float(cut) == pytest.approx(float(task.loss(logits_bk, batch)))


def test_the_loss_may_be_binary() -> None:
    logits_bk, batch = torch.zeros(2, 3), {"label": torch.tensor([0, 1])}
    assert float(built().loss(logits_bk, batch)) == pytest.approx(math.log(3))
    assert float(built(loss="binary_cross_entropy").loss(logits_bk, batch)) == pytest.approx(math.log(2))


def test_random_crops_are_cut_from_as_many_pixels_as_they_show() -> None:
    task = built(augment={"random_resized_crop": {"scale": (0.25, 1.0), "ratio": (1.0, 1.0)}})  # to 8x8: 16 are enough
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    record = Record("a", {"jpg": encode_jpeg(noise, 90), "cls": b"1"})
    assert task.decode(record, exact=True).image.shape == (64, 96, 3)
    assert task.decode(record, exact=False).image.shape == (16, 24, 3)


@pytest.mark.parametrize(
    "augment",
    [{"random_resized_crop": {}}, {"rand_augment": {}}, {"trivial_augment": True}, {"erase_prob": 1.0}],
    ids=lambda augment: next(iter(augment)),
)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_change_is_made_to_grey_and_coloured_pictures(augment: dict[str, Any], channels: int) -> None:
    model = {**CASES["classification"].section["model"], "in_channels": channels}
    task = built(model=model, mean=(0.5,) * channels, std=(0.2,) * channels, image_size=16, augment=augment)
    plain = replace(task, augment=config.Augment()).train_transform(striped(1)[0], np.random.default_rng(0)).image
    changed = [task.train_transform(striped(1)[0], np.random.default_rng(seed)).image for seed in range(20)]
    assert {(image.shape, image.dtype) for image in changed} == {((16, 16, channels), np.dtype(np.uint8))}
    assert sum(not np.array_equal(image, plain) for image in changed) >= 10


@pytest.mark.parametrize(
    "augment",
    [
        {"random_resized_crop": {"scale": (0.5, 0.1)}},
        {"random_resized_crop": {"scale": (0.0, 1.0)}},
        {"random_resized_crop": {"ratio": (2.0, 0.5)}},
        {"rand_augment": {"magnitude": 11.0}},
        {"mix": {"mixup_alpha": 0.0}},
        {"erase_prob": 1.1},
    ],
)
def test_numbers_out_of_range_are_refused(augment: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"augment.{next(iter(augment))}"):
        built(augment=augment)


def test_the_whole_timm_recipe_learns_what_it_was_not_shown() -> None:
    model_section = {"dim": 16, "depth": 2, "in_channels": 3, "drop_path": 0.1}
    task = built(model=model_section, image_size=16, augment=TIMM, label_smoothing=0.1)
    torch.manual_seed(0)
    model = task.build_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    shown = striped(24)
    for step in range(40):
        batch = trained_on(task, shown, step)
        optimizer.zero_grad()
        task.loss(task.predict(model, batch), batch).backward()
        optimizer.step()
    batch = batch_of(task, striped(30))
    with torch.inference_mode():
        answers_b = task.predict(model.eval(), batch).argmax(dim=1)
    assert float((answers_b == batch["label"]).float().mean()) > 0.9
