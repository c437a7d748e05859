"""Digits on photographs: masks that tell the truth, the same scenes on every run, and nothing in two splits."""

import importlib.util
import pickle

import numpy as np
import pytest

from wavemix.data.decode import decode_image, decode_mask
from wavemix.data.raw.items import Item, RawSet
from wavemix.data.sources import digits, scenes
from wavemix.errors import DataError

OPTIONS = {"side": 64, "num_train": 60, "num_val": 20, "num_test": 30, "seed": 0}


@pytest.fixture(scope="module")
def drawn() -> RawSet:
    return scenes.read(**OPTIONS)


def decoded(raw: RawSet, item: Item) -> tuple[np.ndarray, np.ndarray]:
    parts = raw.read(item.what)
    return decode_image(parts["image"]), decode_mask(parts["mask"])


def test_there_are_as_many_as_were_asked_for(drawn: RawSet) -> None:
    assert (drawn.schema, drawn.classes) == ("image_with_mask", ("background", *"0123456789"))
    assert {split: len(items) for split, items in drawn.items.items()} == {"train": 60, "val": 20, "test": 30}
    keys = [item.key for items in drawn.items.values() for item in items]
    assert len(set(keys)) == 110
    image, mask = decoded(drawn, drawn.items["train"][0])
    assert (image.shape, mask.shape) == ((64, 64, 3), (64, 64))


def test_no_digit_and_no_photograph_is_in_two_splits(drawn: RawSet) -> None:
    for used in (
        {split: {number for item in items for number, _ in item.what.digits} for split, items in drawn.items.items()},
        {split: {item.what.photograph for item in items} for split, items in drawn.items.items()},
    ):
        assert len(set.union(*used.values())) == sum(map(len, used.values()))


def test_all_photographs_and_all_classes_occur(drawn: RawSet) -> None:
    shown = {item.what.photograph.name for items in drawn.items.values() for item in items}
    assert len(shown) == sum(map(len, scenes.PHOTOGRAPHS.values()))
    classes = np.concatenate([np.unique(decoded(drawn, item)[1]) for item in drawn.items["train"]])
    assert set(classes) == set(range(11))


def test_a_quarter_of_the_mask_is_background_and_the_digit_that_is_there(drawn: RawSet) -> None:
    num_shown = 0
    for item in drawn.items["train"]:
        mask = decoded(drawn, item)[1]
        quarters = [mask[top : top + 32, left : left + 32] for top in (0, 32) for left in (0, 32)]
        for quarter, (_, digit) in zip(quarters, item.what.digits, strict=True):
            assert set(np.unique(quarter)) <= {0, digit + 1}
            num_shown += quarter.any()
    assert num_shown / (4 * 60) == pytest.approx(scenes.DIGIT_PROB, abs=0.1)


def test_the_mask_is_where_the_ink_is(drawn: RawSet) -> None:
    """A pixel of a digit is far brighter or darker than the photograph around the digit is in the mean."""
    ratios = []
    for item in drawn.items["test"]:
        image, mask = decoded(drawn, item)
        for top, left in ((0, 0), (0, 32), (32, 0), (32, 32)):
            grey, ink = image[top : top + 32, left : left + 32].mean(axis=2), mask[top : top + 32, left : left + 32] > 0
            if ink.any():
                ratios.append(abs(grey[ink].mean() - grey[~ink].mean()))
    assert np.mean(ratios) > 80


def test_labels_are_those_of_the_digits(drawn: RawSet) -> None:
    shipped = digits.read(val_fraction=scenes.VAL_SHARE, test_fraction=scenes.TEST_SHARE, seed=0)
    for split, items in drawn.items.items():
        labels = {item.what: item.label for item in shipped.items[split]}
        assert all(labels[number] == digit for item in items for number, digit in item.what.digits)


def test_the_seed_decides_everything(drawn: RawSet) -> None:
    again, other = scenes.read(**OPTIONS), scenes.read(**{**OPTIONS, "seed": 1})
    assert again.items == drawn.items
    assert again.fingerprint == drawn.fingerprint != other.fingerprint
    item = drawn.items["val"][3]
    assert again.read(item.what) == drawn.read(item.what)
    assert other.read(other.items["val"][3].what) != drawn.read(item.what)


def test_a_scene_does_not_depend_on_how_many_there_are(drawn: RawSet) -> None:
    more = scenes.read(**{**OPTIONS, "num_train": 61, "num_val": 5})
    assert more.items["train"][:60] == drawn.items["train"]
    assert more.fingerprint != drawn.fingerprint


def test_what_other_processes_get_is_small(drawn: RawSet) -> None:
    assert len(pickle.dumps((drawn.read, drawn.items["train"][0]))) < 1000


@pytest.mark.parametrize("side", [32, 128])
def test_scenes_of_other_sizes_can_be_drawn(side: int) -> None:
    raw = scenes.read(side=side, num_train=1, num_val=5, num_test=1, seed=0)
    for item in raw.items["val"]:  # of the smallest photograph
        image, mask = decoded(raw, item)
        assert (image.shape, mask.shape) == ((side, side, 3), (side, side))


def test_it_says_so_if_a_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"^skimage is not installed; pip install"):
        scenes.read(**OPTIONS)
