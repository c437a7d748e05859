"""Tiny ImageNet, packed and unpacked: the same pictures, classes and order, or one clear error."""

from pathlib import Path

import pytest

from factories import large
from factories.pack import Tree
from factories.reading import Reader, contents_of, reader
from wavemix.data.sources import tiny_imagenet
from wavemix.errors import DataError

TREE = large.tiny_imagenet()
TOP = "tiny-imagenet-200"


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(tiny_imagenet.read, tmp_path, subset=False)


def test_the_zip_has_what_the_tree_has(read: Reader) -> None:
    packed, unpacked = read(large.tiny_imagenet_zip(TREE)), read(TREE, name="tree")
    assert (packed.schema, packed.expected) == ("labelled_image", {"train": 100_000, "val": 10_000})
    assert packed.classes == unpacked.classes == ("n01443537", "n02124075")
    assert [(item.key, item.label) for item in packed.items["train"]] == [
        ("n01443537/n01443537_0", 0),
        ("n01443537/n01443537_1", 0),
        ("n02124075/n02124075_0", 1),
    ]
    assert [(item.key, item.label) for item in packed.items["val"]] == [("val_0", 1), ("val_1", 0)]
    assert packed.read(packed.items["val"][0].what) == {"image": TREE[f"{TOP}/val/images/val_0.JPEG"]}
    assert contents_of(packed) == contents_of(unpacked)
    assert packed.fingerprint == unpacked.fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {f"{TOP}/val/images/val_0.JPEG": large.picture(1, (40, 40))},
        {f"{TOP}/val/val_annotations.txt": b"val_0.JPEG\tn01443537\t0\nval_1.JPEG\tn01443537\t0\n"},
    ],
    ids=["another picture", "another label"],
)
def test_the_fingerprint_changes_with_the_data(read: Reader, changed: Tree) -> None:
    assert read({**TREE, **changed}, name="changed").fingerprint != read(TREE).fingerprint


def test_a_subset_of_the_classes_is_chosen_in_wnids(read: Reader) -> None:
    few = {**TREE, f"{TOP}/wnids.txt": b"n02124075\n"}
    with pytest.raises(DataError, match=r"train has n01443537/.* of the class 'n01443537', which wnids.txt has not"):
        read(few)
    raw = read(few, subset=True)
    assert raw.classes == ("n02124075",)
    assert [item.key for item in raw.items["train"]] == ["n02124075/n02124075_0"]
    assert [item.key for item in raw.items["val"]] == ["val_0"]


def without(start: str) -> Tree:
    return {path: content for path, content in TREE.items() if not path.startswith(f"{TOP}/{start}")}


def test_a_subset_may_lack_pictures_and_keeps_the_classes(read: Reader) -> None:
    few = without("val/images/val_0")
    with pytest.raises(
        DataError, match=r"val_annotations.txt disagree: 1 of 2 labels have no picture, such as val_0.JPEG"
    ):
        read(few)
    raw = read(few, subset=True)
    assert raw.classes == ("n01443537", "n02124075")
    assert [(item.key, item.label) for item in raw.items["val"]] == [("val_1", 0)]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"elsewhere.txt": b""}, "looked for .*wnids.txt or tiny-imagenet-200.zip in .*, found elsewhere.txt"),
        (without("wnids"), "looked for tiny-imagenet-200/wnids.txt or tiny-imagenet-200.zip"),
        (without("train"), "looked for tiny-imagenet-200/train/ or tiny-imagenet-200.zip"),
        (without("val/images"), "looked for tiny-imagenet-200/val/images/ or tiny-imagenet-200.zip"),
        (without("val/val_"), "looked for tiny-imagenet-200/val/val_annotations.txt"),
        (large.tiny_imagenet_zip(without("train")), "no picture .* in tiny-imagenet-200/train of"),
        ({**TREE, f"{TOP}/val/val_annotations.txt": b"val_0.JPEG\n"}, "line 1: looked for name and wnid, found 'val_0"),
        ({**TREE, f"{TOP}/val/images/val_2.JPEG": b""}, "val_annotations.txt disagree: val_2.JPEG has no label"),
        ({**TREE, f"{TOP}/train/n01443537/more.JPEG": b""}, "train has n01443537/more.JPEG; looked for"),
        ({**TREE, f"{TOP}/wnids.txt": b"n01443537\n"}, "train has n02124075/images/n02124075_0.JPEG of the class"),
    ],
)
def test_what_is_missing_or_wrong_is_one_clear_error(read: Reader, wrong: Tree, told: str) -> None:
    with pytest.raises(DataError, match=told) as raised:
        read(wrong)
    assert str(raised.value).count("\n") <= 2
