"""Super-resolution: which parts are trained on, what is scored and how, and the literature's bicubic numbers."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from factories.tasks import CASES, pairs
from wavemix import config
from wavemix.color import rgb_to_ycbcr
from wavemix.data.decode import UInt8Image, decode_image, encode_png
from wavemix.data.loader import stack
from wavemix.data.resize import imresize
from wavemix.data.schema import ImagePair, Record
from wavemix.errors import DataError
from wavemix.metrics import add_tallies
from wavemix.tasks import TASKS, Task
from wavemix.training.evaluation import to_device

REFERENCE = Path(os.environ.get("WAVEMIX_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))

Batch = dict[str, torch.Tensor]


def built(**changes: Any) -> Task:
    section = {**CASES["super_resolution"].section, **changes}
    return TASKS["super_resolution"](config.SuperResolution.model_validate(section), ())


def batch_of(*samples: ImagePair) -> Batch:
    return dict(to_device(stack([dict(sample.fields()) for sample in samples]), torch.device("cpu")))


def places(height: int, width: int) -> UInt8Image:
    """A picture whose pixels tell where they are: row, column, and a third channel that makes it no grey one."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([rows, columns, np.full_like(rows, 200)], axis=2)


def answering(rgb_bhw3: np.ndarray[Any, Any]) -> torch.Tensor:
    """What a network would answer for these pictures to come out."""
    return rgb_to_ycbcr(torch.from_numpy(np.ascontiguousarray(rgb_bhw3)).permute(0, 3, 1, 2).float() / 255)


def scored(task: Task, prediction: torch.Tensor, batch: Batch, *, full: bool = False) -> dict[str, float]:
    return task.summary(task.metrics(prediction, batch, full=full))


@pytest.fixture
def noisy() -> tuple[np.ndarray[Any, Any], Batch]:
    """Two answers that are off by noise, as bytes, and the batch they are answers to."""
    samples = pairs()[::2][:2]
    noise = np.random.default_rng(1).normal(0, 12, (2, 24, 32, 3))
    answers = np.stack([sample.high for sample in samples]) + noise
    return answers.round().clip(0, 255).astype(np.uint8), batch_of(*samples)


# --- what is trained on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_crops_of_both_resolutions_show_the_same_part(scale: int) -> None:
    task = built(scale=scale, crop=4 * scale, flip_and_turn=False)
    sample = ImagePair("a", places(8 * scale, 9 * scale), {scale: places(8, 9)})
    seen = set()
    for seed in range(60):
        crop = task.train_transform(sample, np.random.default_rng(seed))
        low, high = crop.low[scale], crop.high
        assert (low.shape, high.shape) == ((4, 4, 3), (4 * scale, 4 * scale, 3))
        np.testing.assert_array_equal(high[::scale, ::scale, :2], low[..., :2] * scale)
        seen.add((int(low[0, 0, 0]), int(low[0, 0, 1])))
    assert {row for row, _ in seen} == set(range(5)), "crops reach every edge"
    assert {column for _, column in seen} == set(range(6))


def test_flips_and_turns_are_the_same_for_both_resolutions_and_all_eight_occur() -> None:
    task = built(crop=None)
    sample = ImagePair("a", np.kron(places(3, 3), np.ones((2, 2, 1), np.uint8)), {2: places(3, 3)})
    ways = set()
    for seed in range(100):
        turned = task.train_transform(sample, np.random.default_rng(seed))
        np.testing.assert_array_equal(turned.high[::2, ::2], turned.low[2])
        assert set(turned.fields()) == {"low", "high", "grey"}
        ways.add(turned.low[2].tobytes())
    assert len(ways) == 8


def test_without_crop_and_turns_whole_pictures_are_trained_on() -> None:
    task, sample = built(crop=None, flip_and_turn=False), pairs()[0]
    trained_on = task.train_transform(sample, np.random.default_rng(0))
    np.testing.assert_array_equal(trained_on.high, sample.high)
    np.testing.assert_array_equal(trained_on.low[2], sample.low[2])


def test_a_picture_smaller_than_the_crop_is_named() -> None:
    with pytest.raises(DataError, match=r"^sample 0: no crop of 26 fits into 32x24; lower task\.crop$"):
        built(crop=26).train_transform(pairs()[0], np.random.default_rng(0))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scale": 3, "crop": 50}, "crop: found 50, allowed: a multiple of the scale, 3"),
        ({"scale": 3, "crop": None, "model": {"name": "wavemix_sr_v2"}}, "scale: found 3, allowed: 2 or 4 with "),
        ({"scale": 3, "crop": 48}, None),
        ({"scale": 4, "crop": 48, "model": {"name": "wavemix_sr_v2"}}, None),
    ],
)
def test_what_does_not_fit_together_is_found_before_anything_starts(changes: dict[str, Any], told: str | None) -> None:
    section = config.SuperResolution.model_validate({**CASES["super_resolution"].section, **changes})
    found = section.mistake()
    assert found is None if told is None else found and found.startswith(told)


# --- what is answered ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"scale": scale} for scale in (2, 3, 4)] + [{"scale": 4, "model": {"name": "wavemix_sr_v2", "dim": 8}}]
)
def test_answers_have_the_size_that_was_asked_for(changes: dict[str, Any]) -> None:
    task = built(crop=None, **changes)
    with torch.no_grad():
        answer = task.predict(task.build_model(), {"low": torch.rand(2, 3, 5, 6)})
    assert answer.shape == (2, 3, 5 * changes["scale"], 6 * changes["scale"])


def test_only_the_brightness_is_learnt() -> None:
    """The loss is half the mean squared error of full-range Y, whatever the colours are."""
    task, batch = built(), batch_of(pairs()[0])
    answer = rgb_to_ycbcr(batch["high"])
    assert float(task.loss(answer, batch)) == 0
    answer[:, 1:] = 0.3
    assert float(task.loss(answer, batch)) == 0
    answer[:, :1] += 0.1
    assert float(task.loss(answer, batch)) == pytest.approx(0.005)


# --- how it is scored ----------------------------------------------------------------------------------------------


def test_the_score_is_that_of_saved_pictures_on_studio_y_without_a_border(
    noisy: tuple[np.ndarray[Any, Any], Batch],
) -> None:
    answers, batch = noisy
    truths = (batch["high"] * 255).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)
    inner = [[rgb2ycbcr(image)[2:-2, 2:-2, 0] for image in images] for images in (truths, answers)]
    expected = np.mean([peak_signal_noise_ratio(*two, data_range=255) for two in zip(*inner, strict=True)])
    found = scored(built(), answering(answers), batch)
    assert set(found) == {"psnr_y", "ssim_y"}
    assert found["psnr_y"] == pytest.approx(expected, rel=1e-9)


def test_answers_are_clipped_and_rounded_before_they_are_scored(noisy: tuple[np.ndarray[Any, Any], Batch]) -> None:
    answers, batch = noisy
    white, black = np.full_like(answers, 255), np.zeros_like(answers)
    beyond, below = answering(white) + torch.tensor([0.2, 0, 0]).view(3, 1, 1), answering(black) - 0.2
    below[:, 1:] = 0.5
    assert scored(built(), beyond, batch) == scored(built(), answering(white), batch)
    assert scored(built(), below, batch) == scored(built(), answering(black), batch)
    shifted = answering(answers)
    shifted[:, :1] += 0.4 / 255
    assert scored(built(), shifted, batch) == scored(built(), answering(answers), batch)


def test_the_picture_itself_has_an_infinite_score() -> None:
    batch = batch_of(pairs()[0])
    found = scored(built(), rgb_to_ycbcr(batch["high"]), batch)
    assert found["psnr_y"] == math.inf
    assert found["ssim_y"] == pytest.approx(1, abs=1e-12)


def test_only_a_picture_published_in_grey_is_scored_on_its_own_values() -> None:
    """In Y its errors are smaller by 219 / 255, which is 1.32 dB."""
    grey = pairs()[1]
    assert grey.grey
    answer = answering(np.clip(grey.high.astype(int) + np.array([[[7]]]), 0, 255).astype(np.uint8)[None])
    own = scored(built(), answer, batch_of(grey))["psnr_y"]
    as_colour = scored(built(), answer, batch_of(replace(grey, grey=False)))["psnr_y"]
    assert as_colour - own == pytest.approx(20 * math.log10(255 / 219), abs=1e-4)


def test_the_file_tells_which_picture_is_grey() -> None:
    task, (sample, *_) = built(), pairs()[1:]
    low = encode_png(sample.low[2])
    for high, expected in ((sample.high[:, :, 0], True), (sample.high, False)):
        record = Record("a", {"hr.png": encode_png(np.ascontiguousarray(high)), "x2.png": low})
        decoded = task.decode(record, exact=True)
        assert decoded.grey is expected
        np.testing.assert_array_equal(decoded.high, sample.high)


def test_the_authors_score_is_that_of_float_y_with_the_peaks_they_infer(
    noisy: tuple[np.ndarray[Any, Any], Batch],
) -> None:
    answers, batch = noisy
    prediction = answering(answers)
    prediction[:, :1] += 0.003  # is neither rounded away
    prediction[0, 0, 0, 0] = 1.5  # nor clipped, and the border counts
    expected = []
    for answer, high in zip(prediction.double(), batch["high"].double(), strict=True):
        truth = 0.299 * high[0] + 0.587 * high[1] + 0.114 * high[2]
        expected.append(10 * math.log10(float(truth.max() ** 2 / (answer[0] - truth).square().mean())))
    found = scored(built(), prediction, batch, full=True)
    assert set(found) == {"psnr_y", "ssim_y", "psnr_y_authors", "ssim_y_authors"}
    assert found["psnr_y_authors"] == pytest.approx(np.mean(expected), rel=1e-6)


def test_the_authors_score_equals_torchmetrics_as_they_used_it() -> None:
    """Numbers that torchmetrics 0.11.4 gave for these pictures: its later versions take other peaks and borders."""
    generator = torch.Generator().manual_seed(0)
    high = torch.rand(3, 3, 24, 30, generator=generator)
    noise = torch.rand(high.shape, generator=generator)
    prediction = high * 0.7 + noise * 0.2 + 0.05
    high[2] = high[2] * 0.5 + 0.3
    batch = {"high": high, "grey": torch.zeros(3, dtype=torch.bool)}
    for index, (of_psnr, of_ssim) in enumerate(OLD_TORCHMETRICS):
        one = {name: value[index : index + 1] for name, value in batch.items()}
        found = scored(built(), prediction[index : index + 1], one, full=True)
        assert found["psnr_y_authors"] == pytest.approx(of_psnr, abs=1e-4)
        assert found["ssim_y_authors"] == pytest.approx(of_ssim, abs=1e-5)


OLD_TORCHMETRICS = ((13.06907, 0.437577), (12.8063, 0.427406), (11.80167, 0.386254))


# --- variants and pictures -----------------------------------------------------------------------------------------


def test_bicubic_is_matlabs_of_the_saved_low_resolution() -> None:
    task, sample = built(), pairs()[0]
    assert set(task.variants()) == {"bicubic", "x8"}
    answer = task.variants()["bicubic"](task.build_model(), batch_of(sample))
    np.testing.assert_array_equal(decode_image(task.encode(answer, batch_of(sample))[0]), imresize(sample.low[2], 2.0))


def test_self_ensemble_is_the_mean_over_turned_pictures_turned_back() -> None:
    task, batch = built(), batch_of(*pairs()[:2])
    torch.manual_seed(0)
    model = task.build_model().eval()
    ensemble = task.variants()["x8"]
    with torch.no_grad():
        answer = ensemble(model, batch)
        turned = ensemble(model, {"low": batch["low"].rot90(1, (2, 3)).flip(2)}).flip(2).rot90(-1, (2, 3))
        alone = task.predict(model, batch)
    torch.testing.assert_close(answer, turned, atol=1e-6, rtol=0)
    assert answer.shape == alone.shape
    assert not torch.allclose(answer, alone, atol=1e-4)


def test_self_ensemble_is_an_option() -> None:
    assert set(built(self_ensemble=False).variants()) == {"bicubic"}


def test_shown_are_low_answer_and_truth_with_the_pictures_own_score() -> None:
    task, samples = built(), pairs()[:2]
    batch = batch_of(*samples)
    answer = task.variants()["bicubic"](task.build_model(), batch)
    for index, (shown, sample) in enumerate(zip(task.render(answer, batch), samples, strict=True)):
        low, middle, truth = shown.image_3hw.split(32, dim=2)
        assert shown.image_3hw.shape == (3, 24, 96)
        nearest = np.kron(sample.low[2], np.ones((2, 2, 1))) / 255
        torch.testing.assert_close(low, torch.from_numpy(nearest).permute(2, 0, 1).float())
        torch.testing.assert_close(truth, batch["high"][index])
        assert not torch.allclose(middle, truth, atol=1e-3)
        one = {name: value[index : index + 1] for name, value in batch.items()}
        assert shown.caption == f"{scored(task, answer[index : index + 1], one)['psnr_y']:.2f} dB"


def test_of_a_large_picture_the_middle_is_shown() -> None:
    task, high = built(), places(250, 200)
    batch = batch_of(ImagePair("a", high, {2: np.ascontiguousarray(high[::2, ::2])}))
    (shown,) = task.render(rgb_to_ycbcr(batch["high"]), batch)
    assert shown.image_3hw.shape == (3, 192, 3 * 192)
    torch.testing.assert_close(shown.image_3hw[:, :, 384:], batch["high"][0, :, 29:221, 4:196])
    assert shown.caption == "inf dB"


def test_pictures_of_unequal_size_cannot_be_stacked_and_the_message_helps() -> None:
    one, other = (ImagePair("a", places(2 * side, 8), {2: places(side, 4)}) for side in (4, 5))
    with pytest.raises(DataError) as caught:
        batch_of(one, other)
    assert str(caught.value) == (
        "high: pictures of 8x8 and 8x10 cannot be in one batch; set recipe.eval_batch: 1 "
        "(and recipe.global_batch: 1 to train on whole pictures)"
    )


# --- the literature ------------------------------------------------------------------------------------------------

BICUBIC = {
    ("Set5", 2): (33.66, 0.9299),
    ("Set5", 3): (30.39, 0.8682),
    ("Set5", 4): (28.42, 0.8104),
    ("Set14", 2): (30.24, 0.8688),
    ("Set14", 3): (27.55, 0.7742),
    ("Set14", 4): (26.00, 0.7027),
}


@pytest.mark.skipif(not (REFERENCE / "sr_benchmarks").is_dir(), reason="WAVEMIX_REFERENCE_DATA has no sr_benchmarks/")
@pytest.mark.parametrize(("benchmark", "scale"), BICUBIC)
def test_bicubic_has_the_scores_that_the_literature_prints(benchmark: str, scale: int) -> None:
    task = built(scale=scale, crop=None)
    bicubic, model, total = task.variants()["bicubic"], task.build_model(), {}
    files = sorted((REFERENCE / "sr_benchmarks" / benchmark / f"image_SRF_{scale}").glob("*_HR.png"))
    for high in files:
        low = Path(str(high).replace("_HR", "_LR"))
        record = Record(high.stem, {"hr.png": high.read_bytes(), f"x{scale}.png": low.read_bytes()})
        batch = batch_of(task.eval_transform(task.decode(record, exact=True)))
        total = add_tallies(total, task.metrics(bicubic(model, batch), batch, full=False))
    assert len(files) == {"Set5": 5, "Set14": 14}[benchmark]
    found = task.summary(total)
    of_psnr, of_ssim = BICUBIC[benchmark, scale]
    assert found["psnr_y"] == pytest.approx(of_psnr, abs=0.03)
    assert found["ssim_y"] == pytest.approx(of_ssim, abs=0.0015)
