"""Masks: what is drawn, how much of it, and that evaluation masks are the same for everyone."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pytest

from wavemix.data.masks import MAX_HOLE, SETTINGS, Mask, draw_mask, eval_mask, mask_digest

# Mean share of the hole in 600 masks that LaMa's own code drew.
LAMA_SHARES = {
    ("thick", 256): 0.391,
    ("medium", 256): 0.240,
    ("thin", 256): 0.299,
    ("thick", 512): 0.455,
    ("medium", 512): 0.305,
    ("thin", 512): 0.297,
    ("lama", 256): 0.349,
    ("wavepaint_imagenet", 224): 0.205,
}

# Of the evaluation masks of the samples "0" to "19" with the seed 0: who changes one changes everybody's scores.
DIGESTS = {
    ("thin", 64): 0x376B2CF6BEEC3177,
    ("thin", 256): 0xB2DEEA6E93061AE4,
    ("thin", 512): 0x4F1E7717DC368455,
    ("medium", 64): 0xA6D284D594168F1C,
    ("medium", 256): 0x82DAE907E83D46B3,
    ("medium", 512): 0x96EDC89C5E735BF6,
    ("thick", 64): 0xA4D741B0E841689B,
    ("thick", 256): 0x638F779D276B6C42,
    ("thick", 512): 0xF08A6914EA609715,
    ("lama", 64): 0xED04BEFC32360C7D,
    ("lama", 256): 0x2858925046EC6459,
    ("wavepaint_imagenet", 64): 0xC027AB053F7D6740,
    ("wavepaint_imagenet", 224): 0xFA36E06C3E4D4DFA,
}


class Told:
    """A generator that gives the numbers it was told, and keeps the bounds that were asked for."""

    def __init__(self, random: Sequence[float], integers: Sequence[int]) -> None:
        self.left: dict[str, Iterator[Any]] = {"random": iter(random), "integers": iter(integers)}
        self.bounds: list[tuple[int, ...]] = []

    def random(self) -> float:
        return float(next(self.left["random"]))

    def integers(self, *bounds: int) -> int:
        self.bounds.append(bounds)
        return int(next(self.left["integers"]))


class Watched(Told):
    """A true generator whose bounds are kept."""

    def __init__(self, seed: int) -> None:
        self.generator, self.bounds = np.random.default_rng(seed), []

    def random(self) -> float:
        return self.generator.random()

    def integers(self, *bounds: int) -> int:
        self.bounds.append(bounds)
        return int(self.generator.integers(*bounds))


def drawn(kind: str, size: int, told: Told) -> Mask:
    return draw_mask(kind, size, cast(np.random.Generator, told))


def shares(kind: str, size: int, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    generator = np.random.default_rng(0)
    return np.array([draw_mask(kind, size, generator).mean() for _ in range(count)])


def test_boxes_by_hand() -> None:
    told = Told([0.77], [2, 30, 40, 10, 20, 150, 31, 96, 90])  # 1 / 1.3 is 0.7692
    expected = np.zeros((256, 256), np.bool_)
    expected[20:60, 10:40] = expected[90:121, 96:246] = True
    np.testing.assert_array_equal(drawn("thick", 256, told), expected)
    sides = [(30, 151), (30, 151)]
    assert told.bounds == [(1, 4), *sides, (10, 217), (10, 207), *sides, (10, 97), (10, 216)]


def test_strokes_by_hand() -> None:
    """The first chain is turned the other way: each segment ends a pixel to the left of where it started."""
    told = Told([0.76], [1, 100, 50, 1, 0, 90, 2, 0, 10, 0])
    mask = drawn("thick", 256, told)
    rows, columns = np.nonzero(mask)
    assert mask[60:140, 98:102].all()  # 7 wide, from (100, 50) to (99, 149)
    assert mask[160, 97:100].all()  # 5 wide, from there to (98, 168)
    assert 40 < rows.min() <= 50
    assert 168 <= rows.max() < 173
    assert 94 < columns.min() < columns.max() < 106
    segment = [(4,), (200,), (100,)]
    assert told.bounds == [(1, 7), (256,), (256,), (5,), *segment, *segment]  # one time more than the setting says


def test_strokes_end_at_the_edge() -> None:
    mask = drawn("thick", 256, Told([0.0], [1, 128, 200, 1, 0, 189, 0, 2, 50, 0]))  # downwards, then back up
    assert mask[200:256, 127].all()
    assert mask[210:256, 120:140].sum() > 56 * 5


@pytest.mark.parametrize(("kind", "share"), [("thick", 0.3 / 1.3), ("medium", 0.3 / 1.3), ("lama", 0.5), ("thin", 0.0)])
def test_a_mask_has_strokes_or_boxes_as_often_as_their_weights_say(kind: str, share: float) -> None:
    boxes, watched, found, count = SETTINGS[kind][0].boxes, Watched(0), 0, 1000
    for _ in range(count):
        watched.bounds.clear()
        drawn(kind, 16, watched)
        found += boxes is not None and watched.bounds[0] == (boxes.min_times, boxes.max_times + 1)
    assert found / count == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(("kind", "size"), LAMA_SHARES)
def test_holes_have_the_area_of_lamas(kind: str, size: int) -> None:
    assert shares(kind, size, 300).mean() == pytest.approx(LAMA_SHARES[kind, size], abs=0.035)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize(("kind", "apart"), [("thick", 0.03), ("medium", 0.03), ("lama", 0.03), ("thin", 0.08)])
def test_lengths_are_scaled_with_the_size(kind: str, apart: float, size: int) -> None:
    assert shares(kind, size, 300).mean() == pytest.approx(LAMA_SHARES[kind, 256], abs=apart)


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("size", [16, 31, 64, 300])
def test_every_mask_has_a_hole_and_the_size_that_was_asked_for(kind: str, size: int) -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        mask = draw_mask(kind, size, generator)
        assert (mask.shape, mask.dtype) == ((size, size), np.bool_)
        assert mask.any()


def test_evaluation_masks_leave_half_of_the_picture() -> None:
    masks = [eval_mask("thick", 64, seed=0, key=f"{number}") for number in range(300)]
    assert max(mask.mean() for mask in masks) <= MAX_HOLE < shares("thick", 64, 300).max()


def test_evaluation_masks_are_distributed_as_if_one_of_five_were_taken() -> None:
    """As LaMa takes them: five are drawn, too large ones are left out, one of the others is taken."""
    generator, taken = np.random.default_rng(0), []
    while len(taken) < 300:
        five = [draw_mask("thick", 64, generator).mean() for _ in range(5)]
        if small := [share for share in five if share <= MAX_HOLE]:
            taken.append(generator.choice(small))
    ours = [eval_mask("thick", 64, seed=0, key=f"{number}").mean() for number in range(300)]
    np.testing.assert_allclose(
        np.quantile(ours, [0.1, 0.25, 0.5, 0.75, 0.9]), np.quantile(taken, [0.1, 0.25, 0.5, 0.75, 0.9]), atol=0.04
    )


@pytest.mark.parametrize(("kind", "size"), DIGESTS)
def test_evaluation_masks_never_change(kind: str, size: int) -> None:
    keys = [f"{number}" for number in range(20)]
    digests = [mask_digest(eval_mask(kind, size, seed=0, key=key), key) for key in reversed(keys)]
    assert sum(digests) % 2**64 == DIGESTS[kind, size]


def test_an_evaluation_mask_depends_on_seed_and_key() -> None:
    masks = [eval_mask("medium", 64, seed=seed, key=key) for seed, key in [(0, "a"), (1, "a"), (0, "b"), (0, "a")]]
    assert not np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])
    np.testing.assert_array_equal(masks[0], masks[3])


def test_a_digest_tells_pixels_and_keys_apart() -> None:
    mask = eval_mask("medium", 64, seed=0, key="a")
    other = mask.copy()
    other[0, 0] = not other[0, 0]
    assert len({mask_digest(mask, "a"), mask_digest(mask, "b"), mask_digest(other, "a")}) == 3
    assert 0 <= mask_digest(mask, "a") < 2**64
