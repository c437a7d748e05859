"""A user's own pictures with masks: each with its own, void as ignored, or one clear error."""

import os
from pathlib import Path

import numpy as np
import pytest

from factories.pack import Tree, as_zip, picture
from factories.pictures import mask
from factories.reading import Reader, contents_of, reader
from wavemix.data.admit import Rejected
from wavemix.data.decode import decode_mask
from wavemix.data.raw.archives import RawFolder
from wavemix.data.sources import mask_folder
from wavemix.errors import DataError

REFERENCE = Path(os.environ.get("WAVEMIX_REFERENCE_DATA", Path(__file__).parents[4] / "shared" / "data"))

TREE = {
    "train/images/x.jpg": picture(1),
    "train/images/town/y.v1.png": picture(2, kind="PNG"),
    "train/masks/x.png": mask([[0, 1, 2, 11]]),
    "train/masks/town/y.v1.png": mask([[255, 1, 0, 0]]),
    "val/images/z.JPEG": picture(3),
    "val/masks/z.png": mask([[2, 2, 2, 2]]),
}


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(mask_folder.read, tmp_path, classes=("sky", "road", "car"), void=())


def test_every_picture_has_its_mask_byte_for_byte(read: Reader) -> None:
    raw = read(TREE)
    assert (raw.schema, raw.classes, raw.expected) == ("image_with_mask", ("sky", "road", "car"), {})
    assert contents_of(raw) == {
        "train": [
            (
                "town/y_v1",
                None,
                {"image": TREE["train/images/town/y.v1.png"], "mask": TREE["train/masks/town/y.v1.png"]},
            ),
            ("x", None, {"image": TREE["train/images/x.jpg"], "mask": TREE["train/masks/x.png"]}),
        ],
        "val": [("z", None, {"image": TREE["val/images/z.JPEG"], "mask": TREE["val/masks/z.png"]})],
    }


def test_void_becomes_ignored_and_nothing_else_changes(read: Reader) -> None:
    raw = read(TREE, void=(11, 2))
    masks = {item.key: decode_mask(raw.read(item.what)["mask"]).tolist() for item in raw.items["train"]}
    assert masks == {"town/y_v1": [[255, 1, 0, 0]], "x": [[0, 1, 255, 255]]}
    assert raw.fingerprint != read(TREE).fingerprint


def test_archives_are_the_same_as_folders(read: Reader) -> None:
    packed = {
        f"{split}.zip": as_zip({p: c for p, c in TREE.items() if p.startswith(split)}) for split in ("train", "val")
    }
    raw, unpacked = read(packed, name="packed"), read(TREE)
    assert contents_of(raw) == contents_of(unpacked)
    assert raw.fingerprint == unpacked.fingerprint


def test_a_mask_that_cannot_be_decoded_is_rejected(read: Reader) -> None:
    raw = read({**TREE, "val/masks/z.png": b"damaged"}, void=(11,))
    with pytest.raises(Rejected, match="mask: cannot be decoded: no picture"):
        raw.read(raw.items["val"][0].what)


def test_the_fingerprint_changes_with_a_mask(read: Reader) -> None:
    assert read({**TREE, "val/masks/z.png": b"other"}).fingerprint != read(TREE, name="before").fingerprint


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"train/images/lonely.jpg": picture()}, "/train/images/lonely.jpg has none of its name in .*/train/masks$"),
        ({"val/masks/lonely.png": mask([[0]])}, "/val/masks/lonely.png has none of its name in .*/val/images$"),
        ({"test/masks/a.png": mask([[0]])}, "no picture in .*/test/images/; looked for"),
        ({"test/images/a.png": picture()}, "no picture in .*/test/masks/; looked for"),
    ],
    ids=["no mask", "no picture", "no pictures", "no masks"],
)
def test_what_is_wrong_is_one_clear_error(read: Reader, changed: Tree, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read({**TREE, **changed})


@pytest.mark.skipif(not (REFERENCE / "camvid").is_dir(), reason="WAVEMIX_REFERENCE_DATA has no camvid/")
def test_camvid_is_read(tmp_path: Path) -> None:
    names = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
    raw = mask_folder.read(root=RawFolder(REFERENCE / "camvid", tmp_path), classes=names, void=(11,))
    assert {split: len(items) for split, items in raw.items.items()} == {"train": 367, "val": 101}
    found = np.unique([decode_mask(raw.read(item.what)["mask"]) for item in raw.items["val"][::20]])
    assert found.tolist() == [*range(11), 255]
