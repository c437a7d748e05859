"""Segmentation: sizes, what is ignored, other ways to an answer, and how answers are shown and stored."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from factories.tasks import CASES, CLASSES, masked
from wavemix import config
from wavemix.data.decode import decode_mask
from wavemix.data.loader import stack
from wavemix.data.palettes import CITYSCAPES
from wavemix.data.schema import IGNORED, MaskedImage
from wavemix.data.sources.cityscapes import CLASSES as OF_CITYSCAPES
from wavemix.models import WaveMixClassifier, WaveMixSegmenter
from wavemix.tasks import TASKS, Task
from wavemix.tasks.dense_inference import at_scales, in_windows, resized, with_flip
from wavemix.training.evaluation import evaluate, to_device

CPU = torch.device("cpu")


def section(**changes: Any) -> config.Segmentation:
    return config.Segmentation.model_validate({**CASES["segmentation"].section, **changes})


def built(classes: Sequence[str] = CLASSES, **changes: Any) -> Task:
    return TASKS["segmentation"](section(**changes), tuple(classes))


def batch_of(task: Task, samples: list[MaskedImage]) -> dict[str, torch.Tensor]:
    return dict(to_device(stack([dict(task.eval_transform(one).fields()) for one in samples]), CPU))


@pytest.fixture
def samples() -> list[MaskedImage]:
    """Pictures of 12x16 pixels; the bottom rows of all but the first are ignored."""
    return masked()


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return built().build_model().eval()


# --- sizes ---------------------------------------------------------------------------------------------------------


def test_scores_have_the_size_of_the_mask_which_is_never_resized_in_evaluation(
    samples: list[MaskedImage], model: torch.nn.Module
) -> None:
    task = built()
    sample = task.eval_transform(samples[3])
    assert sample.image.shape == (24, 32, 3)
    assert sample.mask is samples[3].mask
    batch = batch_of(task, samples[:2])
    with torch.inference_mode():
        scores = task.predict(model, batch)
        small = task.predict(model, {**batch, "mask": torch.zeros(2, 24, 32, dtype=torch.int64)})
    assert scores.shape == (2, 3, 12, 16)
    expected = torch.nn.functional.interpolate(small, size=(12, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(scores, expected)


def test_a_stem_that_divides_by_more_than_four_is_made_up_for(samples: list[MaskedImage]) -> None:
    task = built(model={"dim": 16, "depth": 1, "levels": 1, "stem": "patchify", "patch_size": 8})
    with torch.inference_mode():
        assert task.predict(task.build_model().eval(), batch_of(task, samples)).shape == (8, 3, 12, 16)


def test_training_takes_crops_or_else_whole_pictures(samples: list[MaskedImage]) -> None:
    cropped = built().train_transform(samples[0], np.random.default_rng(0))
    assert (cropped.image.shape, cropped.mask.shape) == ((16, 24, 3), (16, 24))
    whole = built(crop=None, augment={}).train_transform(samples[0], np.random.default_rng(0))
    assert (whole.image.shape, whole.mask.shape) == ((24, 32, 3), (24, 32))
    np.testing.assert_array_equal(whole.mask[::2, ::2], samples[0].mask)


def test_a_flip_mirrors_the_picture_and_its_mask(samples: list[MaskedImage]) -> None:
    plain, mirrored = (
        built(crop=None, augment={"horizontal_flip_prob": prob}).train_transform(samples[1], np.random.default_rng(0))
        for prob in (0.0, 1.0)
    )
    np.testing.assert_array_equal(mirrored.image, plain.image[:, ::-1])
    np.testing.assert_array_equal(mirrored.mask, plain.mask[:, ::-1])
    assert mirrored.fields()["mask"].dtype == np.int64


def test_a_picture_made_too_small_for_its_crop_is_filled_up_with_what_is_ignored(samples: list[MaskedImage]) -> None:
    task = built(crop=(24, 32), augment={"scale": (0.5, 0.5)})
    sample = task.train_transform(samples[0], np.random.default_rng(0))
    assert (sample.mask[12:] == IGNORED).all()
    assert (sample.mask[:12, :16] == samples[0].mask).all()
    assert sample.image[23, 31].tolist() == [128, 102, 76]  # the mean colour: 0 for the network


# --- what counts ---------------------------------------------------------------------------------------------------


def test_ignored_pixels_count_nowhere(samples: list[MaskedImage], model: torch.nn.Module) -> None:
    task = built()
    batch = batch_of(task, samples)
    changed = batch["mask"].clone()
    with torch.inference_mode():
        answer = task.predict(model, batch)
        ignored = (changed == IGNORED)[:, None].expand_as(answer)
        other = torch.where(ignored, answer.flip(1), answer)
    found, same = (task.summary(task.metrics(one, batch, full=False)) for one in (answer, other))
    assert found == same
    torch.testing.assert_close(task.loss(answer, batch), task.loss(other, batch))


def test_right_answers_have_a_full_score_and_classes_that_are_nowhere_do_not_count(
    samples: list[MaskedImage],
) -> None:
    task = built(classes=(*CLASSES, "unicorn"))
    batch = batch_of(task, samples)
    right = torch.nn.functional.one_hot(batch["mask"] % IGNORED, 4).movedim(3, 1).float()
    tallies = task.metrics(right, batch, full=True)
    assert task.summary(tallies) == {"miou": 1.0, "pixel_accuracy": 1.0}
    assert tallies["class_iou"].value[:3].tolist() == [1, 1, 1]
    assert tallies["class_iou"].value[3].isnan()


def test_the_authors_score_stands_beside_ours_for_cityscapes_alone(samples: list[MaskedImage]) -> None:
    task = built(classes=OF_CITYSCAPES.values())
    batch = batch_of(task, samples[:1])  # nothing of it is ignored
    right = torch.nn.functional.one_hot(batch["mask"] % IGNORED, 19).movedim(3, 1).float()
    assert task.summary(task.metrics(right, batch, full=True))["miou_authors"] == 1.0
    assert "miou_authors" not in task.metrics(right, batch, full=False)
    void = {**batch, "mask": torch.full_like(batch["mask"], IGNORED)}
    assert task.summary(task.metrics(right, void, full=True))["miou_authors"] == 0.0  # there they would find void
    assert "miou_authors" not in built().metrics(right[:, :3], batch, full=True)


# --- other ways to an answer ---------------------------------------------------------------------------------------


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def pixel_by_pixel(image_bchw: torch.Tensor) -> torch.Tensor:
    """An answer that looks at nothing but the pixel: the same in every window and mirrored in a mirror."""
    return image_bchw.softmax(dim=1)


def by_place(image_bchw: torch.Tensor) -> torch.Tensor:
    """An answer that depends on the place in what it is shown: the share of columns to the left."""
    left_w = torch.arange(image_bchw.shape[3]) / image_bchw.shape[3]
    return torch.stack([left_w, 1 - left_w]).expand(len(image_bchw), image_bchw.shape[2], 2, -1).transpose(1, 2)


def test_a_mirror_image_changes_nothing_for_who_does_not_mind_it() -> None:
    image = noise(2, 3, 8, 10)
    torch.testing.assert_close(with_flip(pixel_by_pixel)(image), pixel_by_pixel(image))


def test_the_answer_to_a_mirror_image_is_mirrored_back() -> None:
    torch.testing.assert_close(with_flip(by_place)(noise(1, 3, 2, 4))[0, 0, 0], torch.tensor([0.375] * 4))


@pytest.mark.parametrize("window", [(8, 10), (100, 100)])
def test_a_window_as_large_as_the_picture_is_the_whole_picture(window: tuple[int, int]) -> None:
    image = noise(2, 3, 8, 10)
    assert torch.equal(in_windows(by_place, window, (3, 3))(image), by_place(image))


@pytest.mark.parametrize(("window", "stride"), [((4, 4), (4, 4)), ((5, 7), (3, 2)), ((1, 1), (1, 1)), ((8, 3), (8, 2))])
def test_windows_cover_every_pixel(window: tuple[int, int], stride: tuple[int, int]) -> None:
    image = noise(2, 3, 8, 10)
    torch.testing.assert_close(in_windows(pixel_by_pixel, window, stride)(image), pixel_by_pixel(image))


def test_answers_are_averaged_where_windows_overlap() -> None:
    # Six columns, windows of four at 0 and at 2; each answers 0, 1/4, 2/4, 3/4.
    found = in_windows(by_place, (2, 4), (2, 2))(noise(1, 3, 2, 6))
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([0, 0.25, (0.5 + 0) / 2, (0.75 + 0.25) / 2, 0.5, 0.75]))


def test_windows_are_a_stride_apart_and_the_last_one_ends_with_the_picture() -> None:
    seen: list[tuple[int, ...]] = []

    def answer(image_bchw: torch.Tensor) -> torch.Tensor:
        seen.append((int(image_bchw[0, 0, 0, 0]), *image_bchw.shape[2:]))
        return image_bchw

    in_windows(answer, (1, 769), (1, 513))(torch.arange(2048.0).expand(1, 1, 1, -1))
    assert seen == [(start, 1, 769) for start in (0, 513, 1026, 1279)]
    assert all(one - other <= 513 for (other, *_), (one, *_) in pairwise(seen))


def test_several_scales_are_averaged_at_the_size_of_the_picture() -> None:
    image = noise(2, 3, 8, 10)
    torch.testing.assert_close(at_scales(pixel_by_pixel, (1.0,))(image), pixel_by_pixel(image))
    half = resized(pixel_by_pixel(resized(image, (4, 5))), (8, 10))
    torch.testing.assert_close(at_scales(pixel_by_pixel, (1.0, 0.5))(image), (pixel_by_pixel(image) + half) / 2)


def test_a_variant_that_changes_nothing_scores_the_same(samples: list[MaskedImage], model: torch.nn.Module) -> None:
    """Also where masks are of another size than what the network sees."""
    task = built(inference=("sliding", "ms"), window=(24, 32), stride=(24, 32), scales=(1.0,))
    batch = batch_of(task, samples)
    own = task.summary(evaluate(model, task, [batch], CPU))
    assert list(task.variants()) == ["sliding", "ms"]
    with torch.inference_mode():
        prob = task.predict(model, batch).softmax(dim=1)
        for variant in task.variants().values():
            assert task.summary(evaluate(model, task, [batch], CPU, variant=variant))["miou"] == own["miou"]
            torch.testing.assert_close(variant(model, batch).softmax(dim=1), prob)


def test_each_variant_is_another_answer(samples: list[MaskedImage], model: torch.nn.Module) -> None:
    task = built()
    batch = batch_of(task, samples)
    with torch.inference_mode():
        answers = [task.predict(model, batch).softmax(dim=1)]
        answers += [variant(model, batch).softmax(dim=1) for variant in task.variants().values()]
    assert len({answer.numpy().tobytes() for answer in answers}) == 6


# --- pictures and files --------------------------------------------------------------------------------------------


def test_a_rendered_sample_shows_picture_answer_and_truth() -> None:
    task = built(classes=OF_CITYSCAPES.values())
    image = torch.full((1, 3, 2, 4), 0.5)
    mask = torch.tensor([[[0, 0, 10, 255]] * 2])
    scores = torch.zeros(1, 19, 2, 4)
    scores[:, 10] = 1.0
    (shown,) = task.render(scores, {"image": image, "mask": mask})
    picture, answer, truth = shown.image_3hw.split(4, dim=2)
    assert torch.equal(picture, image[0])
    road, sky = (0.25 + torch.tensor(CITYSCAPES[index]) / 510 for index in (0, 10))
    torch.testing.assert_close(answer, sky[:, None, None].expand(3, 2, 4))
    torch.testing.assert_close(truth[:, 0].T, torch.stack([road, road, sky, torch.zeros(3)]))
    assert shown.caption == "mIoU 0.167"  # road 0 of 4, sky 2 of 6
    assert (shown.truth, shown.prediction, shown.correct) == (None, None, None)


def test_a_large_picture_is_shown_small() -> None:
    task = built()
    batch = {"image": torch.rand(1, 3, 300, 600), "mask": torch.zeros(1, 400, 800, dtype=torch.int64)}
    (shown,) = task.render(torch.rand(1, 3, 400, 800), batch)
    assert shown.image_3hw.shape == (3, 128, 3 * 256)


def test_answers_are_stored_as_label_ids_at_the_size_of_the_mask() -> None:
    scores = torch.nn.functional.one_hot(torch.tensor([[[0, 18], [10, 0], [0, 0]]]), 19).movedim(3, 1).float()
    batch = {"image": torch.zeros(1, 3, 6, 4), "mask": torch.zeros(1, 3, 2, dtype=torch.int64)}
    (official,) = built(classes=OF_CITYSCAPES.values()).encode(scores, batch)
    assert decode_mask(official).tolist() == [[7, 33], [23, 7], [7, 7]]
    (others,) = built(classes=[f"class {index}" for index in range(19)]).encode(scores, batch)
    assert decode_mask(others).tolist() == [[0, 18], [10, 0], [0, 0]]


# --- its section of params.yaml, and its network -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"window": None}, "inference: sliding needs window and stride, each as [height, width]"),
        (
            {"stride": (8, 20)},
            "stride: found [8, 20], at most the window [16, 16], or pixels are left out",
        ),
        (
            {"augment": {"scale": (2.0, 0.5)}},
            "augment.scale: found 2.0 and 0.5, the smaller one comes first",
        ),
        ({}, None),
        ({"inference": (), "window": None, "stride": None}, None),
    ],
)
def test_what_does_not_fit_together_is_told(changes: dict[str, Any], told: str | None) -> None:
    assert section(**changes).mistake() == told


def test_an_unknown_way_to_an_answer_is_refused() -> None:
    with pytest.raises(ValidationError, match="inference"):
        section(inference=("crf",))


def test_the_trunk_has_the_names_of_a_classifiers() -> None:
    """So a segmenter can start from a classifier of the same dim, depth, levels and stem: only the heads differ."""
    trunk = {"dim": 16, "depth": 2, "levels": 3, "stem": "patchify", "dropout": 0.5}
    segmenter = WaveMixSegmenter(num_classes=19, decoder_dims=(16, 8), **trunk).state_dict()  # type: ignore[arg-type]
    classifier = WaveMixClassifier(num_classes=10, **trunk).state_dict()  # type: ignore[arg-type]
    assert {name.partition(".")[0] for name in segmenter.keys() ^ classifier.keys()} == {"decoder", "head"}
    shared = segmenter.keys() & classifier.keys()
    assert {name.partition(".")[0] for name in shared} == {"stem", "blocks"}
    assert all(segmenter[name].shape == classifier[name].shape for name in shared)


def test_samples_are_left_alone(samples: list[MaskedImage]) -> None:
    task, before = built(), replace(samples[2], image=samples[2].image.copy(), mask=samples[2].mask.copy())
    for seed in range(5):
        task.train_transform(samples[2], np.random.default_rng(seed))
    np.testing.assert_array_equal(samples[2].image, before.image)
    np.testing.assert_array_equal(samples[2].mask, before.mask)
