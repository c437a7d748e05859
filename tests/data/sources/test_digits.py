"""The digits of scikit-learn: all of them, whole, in a split that never changes."""

import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from wavemix.data.decode import decode_image
from wavemix.data.raw.items import RawSet
from wavemix.data.sources import digits
from wavemix.errors import DataError


@pytest.fixture(scope="module")
def shipped() -> RawSet:
    return digits.read(val_fraction=0.1, test_fraction=0.2, seed=0)


def numbers(raw: RawSet) -> dict[str, list[int]]:
    return {split: [item.what for item in items] for split, items in raw.items.items()}


def test_all_digits_are_there_once(shipped: RawSet) -> None:
    everything = [number for some in numbers(shipped).values() for number in some]
    assert sorted(everything) == list(range(1797))
    assert (shipped.schema, shipped.classes) == ("labelled_image", tuple("0123456789"))
    assert list(shipped.items) == ["train", "val", "test"]
    assert shipped.items["val"][0].key == f"{shipped.items['val'][0].what:04d}"


def test_every_split_has_its_share_of_every_class(shipped: RawSet) -> None:
    labels = load_digits().target
    whole = np.bincount(labels)
    for split, share in {"train": 0.7, "val": 0.1, "test": 0.2}.items():
        counts = np.bincount(labels[numbers(shipped)[split]], minlength=10)
        assert np.abs(counts - share * whole).max() <= 1, split


def test_the_seed_chooses_the_split_and_nothing_else(shipped: RawSet) -> None:
    again = digits.read(val_fraction=0.1, test_fraction=0.2, seed=0)
    other = digits.read(val_fraction=0.1, test_fraction=0.2, seed=1)
    assert again.items == shipped.items
    assert other.items != shipped.items
    assert {split: len(items) for split, items in other.items.items()} == {
        split: len(items) for split, items in shipped.items.items()
    }
    assert other.fingerprint == again.fingerprint == shipped.fingerprint
    # This split must never change: scores of earlier versions were measured on it.
    digest = hashlib.sha256(str(numbers(shipped)).encode()).hexdigest()
    assert digest == "e46c7937d8c89f0fb47334eb5c086d5b93a7d6658cc3d542f8f0de74c145aff4"


def test_no_value_of_a_digit_is_lost(shipped: RawSet) -> None:
    loaded = load_digits()
    for item in shipped.items["train"][::300]:
        assert item.label == loaded.target[item.what]
        ink = decode_image(shipped.read(item.what)["image"])[:, :, 0].astype(float) * 16 / 255
        assert np.abs(ink - loaded.images[item.what]).max() < 0.04
        np.testing.assert_array_equal(np.round(ink), loaded.images[item.what])


def test_fractions_that_leave_nothing_are_refused() -> None:
    with pytest.raises(DataError, match=r"^val 0\.5 and test 0\.5 leave nothing to train on"):
        digits.read(val_fraction=0.5, test_fraction=0.5, seed=0)
