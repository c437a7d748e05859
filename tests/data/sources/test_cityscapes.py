"""Cityscapes, packed and unpacked: the same pictures and masks of 19 classes, or one clear error."""

from pathlib import Path

import pytest

from factories import pictures
from factories.pack import Tree
from factories.reading import Reader, contents_of, reader
from wavemix.data.admit import Rejected
from wavemix.data.decode import decode_mask
from wavemix.data.sources import cityscapes
from wavemix.errors import DataError


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(cityscapes.read, tmp_path, subset=False)


def test_the_tree_is_read(read: Reader) -> None:
    tree = pictures.cityscapes()
    raw = read(tree)
    assert (raw.schema, raw.expected) == ("image_with_mask", {"train": 2_975, "val": 500})
    assert (len(raw.classes), raw.classes[0], raw.classes[9], raw.classes[-1]) == (19, "road", "terrain", "bicycle")
    assert {split: tuple(item.key for item in items) for split, items in raw.items.items()} == {
        split: pictures.CITYSCAPES[split] for split in ("train", "val")
    }
    parts = raw.read(raw.items["val"][0].what)
    assert parts["image"] == tree["leftImg8bit/val/frankfurt/frankfurt_000000_000294_leftImg8bit.png"]
    # unlabelled, road, sidewalk, building; bicycle, car, and caravan and trailer, which are not evaluated
    assert decode_mask(parts["mask"]).tolist() == [[255, 0, 1, 2], [18, 13, 255, 255]]


def test_every_train_id_has_the_label_id_of_the_devkit() -> None:
    evaluated = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert [cityscapes.TRAIN_IDS[label_id] for label_id in evaluated] == list(range(19))
    assert (cityscapes.TRAIN_IDS == 255).sum() == 256 - 19


def test_the_zips_are_the_same_as_the_trees(read: Reader) -> None:
    zips, tree = read(pictures.cityscapes_zips(), name="zips"), read(pictures.cityscapes())
    assert contents_of(zips) == contents_of(tree)
    assert zips.fingerprint == tree.fingerprint
    mixed = {**pictures.cityscapes_zips(), **pictures.of(pictures.cityscapes(), "leftImg8bit/")}
    assert contents_of(read(mixed, name="mixed")) == contents_of(tree)


def test_a_subset_may_lack_pictures_but_no_masks(read: Reader) -> None:
    tree = pictures.cityscapes()
    raw = read(pictures.without(tree, "leftImg8bit/train/zurich"), subset=True)
    assert [item.key for item in raw.items["train"]] == list(pictures.CITYSCAPES["train"][:2])
    with pytest.raises(DataError, match=r"zurich_000121_000019_leftImg8bit.png has no gtFine/train/zurich"):
        read(pictures.without(tree, "gtFine/train/zurich"), subset=True, name="no mask")


def test_the_fingerprint_changes_with_a_mask(read: Reader) -> None:
    path = "gtFine/val/frankfurt/frankfurt_000000_000294_gtFine_labelIds.png"
    changed = read({**pictures.cityscapes(), path: pictures.mask([[7] * 9] * 9)}, name="changed")
    assert changed.fingerprint != read(pictures.cityscapes()).fingerprint


def test_a_mask_that_cannot_be_decoded_is_rejected(read: Reader) -> None:
    path = "gtFine/val/frankfurt/frankfurt_000000_000294_gtFine_labelIds.png"
    raw = read({**pictures.cityscapes(), path: b"damaged"})
    with pytest.raises(Rejected, match="mask: cannot be decoded"):
        raw.read(raw.items["val"][0].what)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            pictures.of(pictures.cityscapes(), "gtFine"),
            "looked for leftImg8bit/train/ or leftImg8bit_trainvaltest.zip in .*, found gtFine$",
        ),
        (
            pictures.of(pictures.cityscapes(), "leftImg8bit"),
            "looked for gtFine/train/ or gtFine_trainvaltest.zip in .*, found leftImg8bit$",
        ),
        (
            pictures.without(pictures.cityscapes(), "gtFine/train/aachen/aachen_000001"),
            "leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png has no "
            "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png in ",
        ),
        (
            pictures.without(pictures.cityscapes(), "leftImg8bit/train/aachen/aachen_000001"),
            "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png has no leftImg8bit/train/aachen/",
        ),
        (
            {**pictures.without(pictures.cityscapes(), "leftImg8bit/val"), "leftImg8bit/val/license.txt": b""},
            r"no leftImg8bit/val/\*_leftImg8bit.png in ",
        ),
    ],
    ids=["no pictures", "no masks", "a mask missing", "a picture missing", "empty"],
)
def test_what_is_missing_is_one_clear_error(read: Reader, wrong: Tree, told: str) -> None:
    with pytest.raises(DataError, match=f"^{told}"):
        read(wrong)
