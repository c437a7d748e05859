"""Inpainting: which holes are seen, that nothing is seen through them, and how answers are scored and shown."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from factories.tasks import CASES, photographs
from wavemix import config
from wavemix.data.decode import decode_image
from wavemix.data.loader import stack
from wavemix.data.masks import eval_mask, mask_digest
from wavemix.data.schema import PlainImage
from wavemix.errors import WaveMixError
from wavemix.metrics import DigestSum, Ratio, ratio
from wavemix.models import WavePaint
from wavemix.tasks import TASKS, Goal, Task
from wavemix.training.evaluation import to_device

CPU = torch.device("cpu")


def built(**changes: Any) -> Task:
    section = {**CASES["inpainting"].section, **changes}
    return TASKS["inpainting"](config.Inpainting.model_validate(section), ())


def batch_of(task: Task, samples: list[PlainImage]) -> dict[str, torch.Tensor]:
    return dict(to_device(stack([dict(task.eval_transform(one).fields()) for one in samples]), CPU))


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    return batch_of(built(), photographs())


def test_the_network_sees_nothing_through_the_hole(batch: dict[str, torch.Tensor]) -> None:
    task, generator = built(), torch.Generator().manual_seed(0)
    model = task.build_model().eval()
    hidden = torch.rand(batch["image"].shape, generator=generator)
    other = {**batch, "image": torch.where(batch["mask"], hidden, batch["image"])}
    with torch.inference_mode():
        first, second = task.predict(model, batch), task.predict(model, other)
    assert torch.equal(first, second)
    assert torch.equal(first[~batch["mask"].expand_as(first)], batch["image"][~batch["mask"].expand_as(first)])


def test_the_network_is_told_where_the_hole_is(batch: dict[str, torch.Tensor]) -> None:
    """A black picture with a hole looks like one without."""
    task = built()
    model = task.build_model().eval()
    assert isinstance(model, WavePaint)
    black = {"image": torch.zeros_like(batch["image"]), "mask": batch["mask"]}
    with torch.inference_mode():
        assert not torch.equal(*(model(black["image"], mask) for mask in (batch["mask"], ~batch["mask"])))


def test_masks_of_evaluation_are_those_of_the_sample_alone() -> None:
    samples, task = photographs(), built(mask_seed=3)
    mask = eval_mask("medium", 16, seed=3, key=samples[5].key)
    np.testing.assert_array_equal(task.eval_transform(samples[5]).mask, mask)
    task.train_transform(samples[0], np.random.default_rng(0))  # whatever was drawn before
    np.testing.assert_array_equal(task.eval_transform(replace(samples[0], key=samples[5].key)).mask, mask)


def test_the_digest_is_that_of_the_masks_scored(batch: dict[str, torch.Tensor]) -> None:
    task, samples = built(), photographs()
    masks = [eval_mask("medium", 16, seed=0, key=sample.key) for sample in samples]
    expected = sum(mask_digest(mask, one.key) for mask, one in zip(masks, samples, strict=True)) % 2**64
    tallies = task.metrics(batch["image"], batch, full=True)
    assert tallies["masks_digest"] == DigestSum(expected)
    assert task.summary(tallies)["masks_digest"] == expected % 2**48
    others = task.metrics(batch["image"], batch_of(built(mask_seed=1), samples), full=True)
    assert others["masks_digest"] != tallies["masks_digest"]


def test_training_masks_are_of_the_kind_that_was_asked_for() -> None:
    samples = photographs() * 20
    mean = {}
    for kind in ("thick", "wavepaint_imagenet"):
        task, generator = built(train_masks=kind, image_size=24), np.random.default_rng(0)
        mean[kind] = np.mean([task.train_transform(one, generator).mask.mean() for one in samples])
    assert mean["thick"] > mean["wavepaint_imagenet"] + 0.1


@pytest.mark.parametrize(("prob", "flipped"), [(0.0, False), (1.0, True)])
def test_flips_as_often_as_asked_for(prob: float, flipped: bool) -> None:
    (sample, *_), generator = photographs(), np.random.default_rng(0)
    plain = built(horizontal_flip_prob=0.0).train_transform(sample, generator).fields()["image"]
    image = built(horizontal_flip_prob=prob).train_transform(sample, generator).fields()["image"]
    assert np.array_equal(image, plain[:, :, ::-1] if flipped else plain)


def test_the_loss_by_hand() -> None:
    """10 (L1 / 2 + MSE / 2) over the whole picture: a quarter of it is wrong by 0.2."""
    image = torch.full((1, 3, 4, 4), 0.5)
    answer = image.clone()
    answer[..., :2, :2] += 0.2
    found = built().loss(answer, {"image": image})
    assert float(found) == pytest.approx(10 * (0.5 * 0.05 + 0.5 * 0.01), rel=1e-5)


def test_scores_the_picture_that_would_be_saved(batch: dict[str, torch.Tensor]) -> None:
    """In 8 bits: what is out of range is clipped, and half a grey level makes no error."""
    task, image = built(), batch["image"]
    nearly = task.summary(task.metrics(image + 0.4 / 255, batch, full=True))
    assert nearly["l1_hole"] == 0
    assert nearly["psnr"] == float("inf")
    assert nearly["ssim"] == pytest.approx(1)
    far = task.summary(task.metrics(torch.where(image < 0.5, -3.0, 4.0), batch, full=False))
    clipped = task.summary(task.metrics((image >= 0.5).float(), batch, full=False))
    assert far == clipped


def test_shares_that_no_hole_has_are_left_out_and_what_is_not_a_number_is_not(batch: dict[str, torch.Tensor]) -> None:
    task = built()
    numbers = task.summary(task.metrics(batch["image"], batch, full=True))
    shares = {f"{10 * int(10 * float(mask.float().mean()))}" for mask in batch["mask"]}
    assert {name.split("_")[2] for name in numbers if name.startswith("l1_hole_")} == shares
    broken = {"l1_hole": ratio(torch.tensor(float("nan")), 1), "psnr": Ratio(torch.zeros(()), torch.zeros(()))}
    assert list(task.summary(broken)) == ["l1_hole"]


def test_filling_with_the_mean_colour_by_hand() -> None:
    task = built()
    image = torch.zeros(1, 3, 2, 2)
    image[0, :, 0, 0], image[0, :, 0, 1], image[0, :, 1] = torch.tensor([0.2, 0.4, 0.6]), 0.1, 0.9
    mask = torch.tensor([[[[False, False], [True, True]]]])
    filled = task.variants()["mean_fill"](torch.nn.Identity(), {"image": image, "mask": mask})
    assert torch.equal(filled[..., 0, :], image[..., 0, :])
    torch.testing.assert_close(filled[0, :, 1, 0], torch.tensor([0.15, 0.25, 0.35]))


def test_shows_the_hole_the_answer_and_the_truth(batch: dict[str, torch.Tensor]) -> None:
    task = built()
    answer = torch.where(batch["mask"], 0.5, batch["image"])
    rendered = task.render(answer, batch)
    hole, shown, truth = rendered[0].image_3hw.split(16, dim=2)
    assert torch.equal(truth, batch["image"][0])
    assert hole[batch["mask"][0].expand(3, -1, -1)].max() == 0
    torch.testing.assert_close(shown, answer[0], rtol=0, atol=0.5 / 255 + 1e-6)
    l1_hole = task.summary(task.metrics(answer[:1], {name: one[:1] for name, one in batch.items()}, full=False))
    assert rendered[0].caption == f"l1_hole {l1_hole['l1_hole']:.3f}"


def test_answers_are_saved_as_they_were_scored(batch: dict[str, torch.Tensor]) -> None:
    files = built().encode(batch["image"] * 1.5, batch)
    expected = (batch["image"][3] * 1.5).clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(decode_image(files[3]), expected)


def test_perceptual_networks_are_asked_for_by_name_and_are_no_part_of_the_task(tmp_path: Any) -> None:
    """Nothing is loaded before the first loss; then a missing package or file is told, before any time is spent."""
    task = built(perceptual="published", image_size=32, weights=str(tmp_path))
    assert task.goal == Goal("lpips_alex", "min")
    assert built().goal == Goal("l1_hole", "min")
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301  (our own; loader processes get it so)
    assert not any("lpips" in name for name in task.build_model().state_dict())
    image = torch.rand(1, 3, 32, 32)
    with pytest.raises(WaveMixError, match=r"lpips|weights"):
        task.loss(image, {"image": image})


def test_a_size_that_perceptual_networks_cannot_take_is_told() -> None:
    section = {**CASES["inpainting"].section, "perceptual": "published", "image_size": 24}
    mistake = config.Inpainting.model_validate(section).mistake()
    assert mistake is not None
    assert mistake.startswith("image_size: found 24")
    assert config.Inpainting.model_validate({**section, "perceptual": "none"}).mistake() is None
