"""DIV2K, packed and unpacked, with published and with made low resolutions."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from factories import pictures
from factories.pack import Tree
from factories.reading import Reader, contents_of, reader
from wavemix.data.admit import Rejected
from wavemix.data.decode import decode_image
from wavemix.data.resize import imresize
from wavemix.data.sources import div2k
from wavemix.errors import DataError


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(div2k.read, tmp_path, scales=(2, 4), low="published", subset=False)


def test_the_tree_is_read_byte_for_byte(read: Reader) -> None:
    tree = pictures.div2k()
    raw = read(tree)
    assert (raw.schema, raw.classes, raw.expected) == ("image_pair", (), {"train": 800, "val": 100})
    assert {split: [item.key for item in items] for split, items in raw.items.items()} == {
        "train": ["0001", "0002", "0800"],
        "val": ["0801", "0900"],
    }
    assert raw.read(raw.items["val"][1].what) == {
        "hr": tree["DIV2K_valid_HR/0900.png"],
        "x2": tree["DIV2K_valid_LR_bicubic/X2/0900x2.png"],
        "x4": tree["DIV2K_valid_LR_bicubic/X4/0900x4.png"],
    }


@pytest.mark.parametrize("low", ["published", "made"])
def test_the_zips_are_the_same_as_the_trees(read: Reader, low: str) -> None:
    zips, tree = read(pictures.div2k_zips(), low=low, name="zips"), read(pictures.div2k(), low=low)
    assert contents_of(zips) == contents_of(tree)
    assert zips.fingerprint == tree.fingerprint


def test_low_resolutions_are_made_of_the_cropped_high_ones(read: Reader) -> None:
    raw = read(pictures.div2k(scales=()), low="made")
    parts = pickle.loads(pickle.dumps(raw)).read(raw.items["train"][0].what)  # noqa: S301
    high = decode_image(parts["hr"])
    assert high.shape == (19, 25, 3)
    np.testing.assert_array_equal(decode_image(parts["x2"]), imresize(high[:18, :24], 1 / 2))
    np.testing.assert_array_equal(decode_image(parts["x4"]), imresize(high[:16, :24], 1 / 4))


def test_a_picture_that_cannot_be_decoded_is_rejected(read: Reader) -> None:
    raw = read({**pictures.div2k(), "DIV2K_train_HR/0001.png": b"damaged"}, low="made")
    with pytest.raises(Rejected, match="hr: cannot be decoded"):
        raw.read(raw.items["train"][0].what)


def test_a_scale_that_is_not_asked_for_is_not_needed(read: Reader) -> None:
    raw = read(pictures.div2k(scales=(3,)), scales=(3,))
    assert set(raw.read(raw.items["train"][0].what)) == {"hr", "x3"}


def test_the_fingerprint_follows_the_files_and_what_is_made_of_them(read: Reader) -> None:
    tree = pictures.div2k()
    longer = {**tree, "DIV2K_train_LR_bicubic/X4/0002x4.png": tree["DIV2K_train_LR_bicubic/X4/0002x4.png"] + b"x"}
    fingerprints = [
        read(tree).fingerprint,
        read(tree, low="made").fingerprint,
        read(tree, low="made", scales=(2,)).fingerprint,
        read(longer, name="longer").fingerprint,
    ]
    assert len(set(fingerprints)) == 4
    assert read(longer, name="longer", low="made").fingerprint == fingerprints[1]  # it is not used


def test_a_subset_may_lack_high_resolutions(read: Reader) -> None:
    tree = pictures.without(pictures.div2k(), "DIV2K_train_HR/0002")
    assert [item.key for item in read(tree, subset=True).items["train"]] == ["0001", "0800"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            pictures.without(pictures.div2k(), "DIV2K_valid_HR"),
            "looked for DIV2K_valid_HR/ or DIV2K_valid_HR.zip in .*, found DIV2K_train_HR, DIV2K_train_LR_bicubic",
        ),
        (
            pictures.div2k(scales=(2,)),
            "looked for DIV2K_train_LR_bicubic/X4/ or DIV2K_train_LR_bicubic_X4.zip in ",
        ),
        (
            pictures.without(pictures.div2k(), "DIV2K_train_LR_bicubic/X4/0002"),
            "DIV2K_train_HR/0002.png has no DIV2K_train_LR_bicubic/X4/0002x4.png in ",
        ),
        (
            pictures.without(pictures.div2k(), "DIV2K_train_HR/0002"),
            "DIV2K_train_LR_bicubic/X2/0002x2.png has no DIV2K_train_HR/0002.png in ",
        ),
    ],
    ids=["no high ones", "no low ones", "a low one missing", "a high one missing"],
)
def test_what_is_missing_is_one_clear_error(read: Reader, wrong: Tree, told: str) -> None:
    with pytest.raises(DataError, match=f"^{told}"):
        read(wrong)
