"""ImageNet in each of its layouts: the same pictures, classes and order, or one clear error."""

import pickle
import sys
from pathlib import Path

import pytest

from factories import large
from factories.pack import Tree, as_tar, as_zip
from factories.reading import Reader, contents_of, reader
from wavemix.data.sources import imagenet
from wavemix.errors import DataError


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(imagenet.read, tmp_path, subset=False)


def tree(val: Tree = large.VAL, train: Tree = large.TRAIN, **devkit: tuple[object, ...]) -> dict[str, bytes]:
    return {**large.below("train", train), **large.below("val", val), **large.imagenet_devkit(**devkit)}


LAYOUTS = {
    "tars": lambda: large.imagenet_tars(large.imagenet_devkit()),
    "tars beside the unpacked devkit": lambda: {**large.imagenet_tars({}), **large.imagenet_devkit()},
    "flat val": tree,
    "sorted val": lambda: {**large.below("train", large.TRAIN), **large.below("val", large.SORTED_VAL)},
    "kaggle": large.imagenet_kaggle,
    "kaggle's zip": lambda: {"imagenet-object-localization-challenge.zip": as_zip(large.imagenet_kaggle())},
    "kaggle's older tar": lambda: {
        "imagenet_object_localization_patched2019.tar.gz": as_tar(large.imagenet_kaggle(), gz=True),
        "LOC_val_solution.csv": large.imagenet_kaggle()["LOC_val_solution.csv"],
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_same_pictures_labels_and_order(read: Reader, layout: str) -> None:
    raw = read(LAYOUTS[layout]())
    assert (raw.schema, raw.expected) == ("labelled_image", {"train": 1_281_167, "val": 50_000})
    assert raw.classes == ("n01440764", "n02100735", "n02119789")
    assert [(item.key, item.label) for item in raw.items["train"]] == [
        ("n01440764/n01440764_18", 0),
        ("n01440764/n01440764_9", 0),
        ("n02100735/n02100735_7", 1),
        ("n02119789/n02119789_5", 2),
    ]
    assert [(item.key, item.label) for item in raw.items["val"]] == [
        ("ILSVRC2012_val_00000001", 1),
        ("ILSVRC2012_val_00000002", 0),
        ("ILSVRC2012_val_00000003", 2),
        ("ILSVRC2012_val_00000004", 0),
    ]
    assert raw.read(raw.items["train"][0].what) == {"image": large.TRAIN["n01440764/n01440764_18.JPEG"]}
    tree_raw = read(tree(), name="tree")
    assert contents_of(raw) == contents_of(tree_raw)
    assert raw.fingerprint == tree_raw.fingerprint


def test_another_process_can_read_it(read: Reader) -> None:
    raw = read(large.imagenet_tars(large.imagenet_devkit()))
    assert contents_of(pickle.loads(pickle.dumps(raw))) == contents_of(raw)  # noqa: S301


@pytest.mark.parametrize(
    "changed",
    [
        tree(train={**large.TRAIN, "n02119789/n02119789_5.JPEG": large.picture(4, (40, 40))}),
        tree(train={**large.TRAIN, "n02119789/n02119789_6.JPEG": large.picture(4)}),
        tree(truth=(2, 3, 1, 1)),
    ],
    ids=["another picture", "one more", "another label"],
)
def test_the_fingerprint_changes_with_the_data(read: Reader, changed: Tree) -> None:
    assert read(changed, name="changed").fingerprint != read(tree()).fingerprint


def test_what_else_lies_in_the_folders_is_left_alone(read: Reader) -> None:
    raw = read({**tree(), "val/valprep.sh": b"mkdir", "train/words.txt": b"", "train/.DS_Store": b""})
    assert contents_of(raw) == contents_of(read(tree(), name="tree"))


def test_a_subset_of_the_classes_is_numbered_anew_and_val_follows_it(read: Reader) -> None:
    train = {path: content for path, content in large.TRAIN.items() if not path.startswith("n01440764")}
    with pytest.raises(DataError, match=r"val_00000002.JPEG of the class n01440764, which train in .* has not"):
        read(tree(train=train))
    raw = read(tree(train=train), subset=True)
    assert raw.classes == ("n02100735", "n02119789")
    assert [(item.key[-1], item.label) for item in raw.items["val"]] == [("1", 0), ("3", 1)]


def test_a_subset_may_lack_pictures_of_val(read: Reader) -> None:
    val = {name: content for name, content in large.VAL.items() if not name.endswith("3.JPEG")}
    with pytest.raises(DataError, match=r"lacks 1 of 4 pictures, first ILSVRC2012_val_00000003.JPEG"):
        read(tree(val=val))
    assert [item.label for item in read(tree(val=val), subset=True).items["val"]] == [1, 0, 0]


def without(tree: Tree, start: str) -> Tree:
    return {path: content for path, content in tree.items() if not path.startswith(start)}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            without(tree(), "train"),
            "looked for train/ or ILSVRC2012_img_train.tar or ILSVRC/Data.*found ILSVRC20",
        ),
        (without(tree(), "val"), "looked for val/ or ILSVRC2012_img_val.tar"),
        (without(tree(), "ILSVRC2012_devkit"), "val is flat; for its labels looked for ILSVRC2012_devkit_t12.tar.gz"),
        (without(tree(), "ILSVRC2012_devkit_t12/data/meta"), "looked for ILSVRC2012_devkit_t12/data/meta.mat"),
        ({**tree(), "ILSVRC2012_devkit_t12/data/meta.mat": b"no mat"}, "meta.mat: cannot be read, download"),
        (tree(truth=(2, 3, 4, 1)), r"ground_truth.txt, line 3: looked for an ILSVRC2012_ID of meta.mat, found '4'"),
        (tree(truth=(2, 3, 1)), "ILSVRC2012_val_00000004.JPEG, for which its 3 labels have none"),
        ({**tree(), "val/n01440764/ILSVRC2012_val_00000001.JPEG": b""}, "has ILSVRC2012_val_00000001 twice"),
        ({**tree(), "val/cat.JPEG": b""}, r"val of .* has the picture cat.JPEG; looked for \[<wnid>/\]ILSVRC2012_val_"),
        ({**tree(), "train/n01440764/n02119789_1.JPEG": b""}, "has the picture n01440764/n02119789_1.JPEG"),
        (
            {**without(tree(), "train"), "train/n01440764.tar": b""},
            "looked for pictures <wnid>/<wnid>_<number>.JPEG in train of .*, found n01440764.tar",
        ),
        ({**large.imagenet_kaggle(), "LOC_val_solution.csv": b"ImageId,PredictionString\nx\n"}, "csv, line 2: .*'x'"),
        ({**large.imagenet_kaggle(), "LOC_val_solution.csv": b"a,b\n"}, "csv, line 1: .*found 'a,b'"),
        (without(large.imagenet_kaggle(), "LOC"), "val is flat; for its labels looked for"),
    ],
)
def test_what_is_missing_or_wrong_is_one_clear_error(read: Reader, wrong: Tree, told: str) -> None:
    with pytest.raises(DataError, match=told) as raised:
        read(wrong)
    assert str(raised.value).count("\n") <= 2


def test_a_subset_with_no_picture_of_val_is_an_error(read: Reader) -> None:
    train = {"n09999999/n09999999_1.JPEG": large.picture()}
    with pytest.raises(DataError, match=r"no picture of val in .* has a class of train"):
        read(tree(train=train), subset=True)


def test_the_devkit_needs_scipy_and_a_sorted_val_does_not(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    flat, in_folders = tree(), LAYOUTS["sorted val"]()
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match=r"scipy .* not installed; pip install"):
        read(flat)
    assert len(read(in_folders, name="sorted").items["val"]) == 4
