"""CelebA-HQ in each of its forms: the same numbers and splits, or one clear error."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest

from factories import pictures
from factories.large import below
from factories.pack import Tree, as_zip
from factories.reading import Reader, contents_of, reader
from wavemix.data.decode import decode_image
from wavemix.data.raw.archives import RawFolder
from wavemix.data.sources import celeba_hq
from wavemix.errors import DataError

MAPPING = {"CelebA-HQ-to-CelebA-mapping.txt": pictures.celeba_mapping()}
FORMS: Mapping[str, Tree] = {
    "CelebAMask-HQ's zip": {"CelebAMask-HQ.zip": as_zip(pictures.celebamask_hq())},
    "CelebAMask-HQ's tree": pictures.celebamask_hq(),
    "its tree as the root": {
        path.removeprefix("CelebAMask-HQ/"): content for path, content in pictures.celebamask_hq().items()
    },
    "zip counted from one": {**MAPPING, "data256x256.zip": as_zip(pictures.counted_from_one())},
    "with a folder in it": {
        **MAPPING,
        "data256x256.zip": as_zip(below("data256x256", pictures.counted_from_one())),
    },
    "tree counted from one": {**MAPPING, **below("data256x256", pictures.counted_from_one())},
    "tree renamed by LaMa": {**MAPPING, **below("data256x256", {f"{n}.jpg": c for n, c in pictures.FACES.items()})},
    "folder of pictures": {**MAPPING, **pictures.flat_faces()},
}


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(celeba_hq.read, tmp_path, split="celeba", subset=False)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_numbers_and_celebas_splits(read: Reader, form: str) -> None:
    raw = read(FORMS[form])
    assert (raw.schema, raw.classes) == ("image", ())
    assert raw.expected == {"train": 24_183, "val": 2_993, "test": 2_824}
    numbers = {"train": [0, 1], "val": [2, 28_000], "test": [29_999]}
    assert contents_of(raw) == {
        split: [(f"{number:05d}", None, {"image": pictures.FACES[number]}) for number in some]
        for split, some in numbers.items()
    }
    assert raw.fingerprint == read(FORMS["CelebAMask-HQ's zip"], name="zip").fingerprint


def test_celeba_counts_add_up() -> None:
    assert all(sum(counts.values()) == 30_000 for counts in celeba_hq.COUNTS.values())


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """What h5tool.py makes: planes, in every resolution down to one pixel."""
    path = tmp_path / "raw" / "celeba-hq-1024x1024.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        for side in (4, 2, 1):
            rows = np.random.default_rng(side).integers(0, 256, (3, 3, side, side), dtype=np.uint8)
            file.create_dataset(f"data{side}x{side}", data=rows)
    return path


def test_the_h5_is_read_in_its_highest_resolution(read: Reader, made: Path) -> None:
    originals = {0: 7, 1: 199_999, 2: 8}
    raw = read({"image_list.txt": pictures.celeba_mapping(originals)}, split="celeba")
    assert {split: [item.key for item in items] for split, items in raw.items.items()} == {
        "train": ["00000", "00002"],
        "test": ["00001"],
    }
    image = decode_image(raw.read(raw.items["test"][0].what)["image"])
    with h5py.File(made) as file:
        np.testing.assert_array_equal(image, file["data4x4"][1].transpose(1, 2, 0))


def test_a_damaged_h5_is_one_clear_error(read: Reader, made: Path) -> None:
    made.write_bytes(b"no h5")
    with pytest.raises(DataError, match=r"1024x1024\.h5: cannot be opened: .*; make it again$"):
        read({}, split="lama")


def lama_lists(test: list[int], others: list[int]) -> dict[str, bytes]:
    lists = {"val_shuffled.flist": test, "train_shuffled.flist": others}
    return {name: "".join(f"{number}.jpg\n" for number in numbers).encode() for name, numbers in lists.items()}


def test_the_split_of_lama_follows_its_lists(read: Reader) -> None:
    val = [29_999, *range(10_000, 11_999)]  # the first 2,000
    lists = lama_lists([28_000, 1], [*val, 2, 0])
    raw = read({**pictures.flat_faces(), **lists}, split="lama")
    assert raw.expected == {"train": 26_000, "val": 2_000, "test": 2_000}
    assert {split: [item.key for item in items] for split, items in raw.items.items()} == {
        "train": ["00000", "00002"],
        "val": ["29999"],
        "test": ["00001", "28000"],
    }
    others = {**pictures.flat_faces(), **lama_lists([28_000], [*val, 2, 1, 0])}
    assert read(others, split="lama", name="other lists").fingerprint != raw.fingerprint


def test_a_subset_may_lack_pictures_but_no_lines(read: Reader) -> None:
    tree = pictures.without({**MAPPING, **pictures.flat_faces()}, "29999")
    raw = read(tree, subset=True)
    assert list(raw.items) == ["train", "val"]
    with pytest.raises(DataError, match=r"mapping.txt has a line for the picture 29999, which is not there$"):
        read(tree)


def test_the_fingerprint_follows_pictures_and_lists(read: Reader) -> None:
    before = read(FORMS["folder of pictures"], name="before").fingerprint
    assert read({**FORMS["folder of pictures"], "00002.jpg": b"another"}, name="one").fingerprint != before
    mapping = pictures.celeba_mapping({**pictures.CELEBA, 1: 5})
    changed = {**FORMS["folder of pictures"], "CelebA-HQ-to-CelebA-mapping.txt": mapping}
    assert read(changed, name="other").fingerprint != before


FACES = pictures.flat_faces()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            FACES,
            "looked for CelebA-HQ-to-CelebA-mapping.txt or CelebAMask-HQ.zip in .*; CelebA-HQ-to-CelebA-mapping.txt is "
            "in CelebAMask-HQ.zip$",
        ),
        (
            {**FACES, "CelebA-HQ-to-CelebA-mapping.txt": pictures.celeba_mapping({0: 1})},
            "mapping.txt has no line for the picture 1$",
        ),
        (
            {**FACES, "CelebA-HQ-to-CelebA-mapping.txt": b"idx orig_idx orig_file\n0 119614 119614.jpg\n"},
            "mapping.txt, line 2: looked for `idx orig_idx orig_file`, found '0 119614 119614.jpg'$",
        ),
        (
            {**MAPPING, "00001.jpg": b"", "00002.jpg": b""},
            r"the pictures in .* start at 00001.jpg and end at 00002.jpg: whether they are counted from 0 or from 1 is "
            "told by the number 0 or the number 30000; one must be there$",
        ),
        ({**FACES, "30000.jpg": b""}, "start at 00000.jpg and end at 30000.jpg: whether they are counted from 0 or"),
        ({**FACES, "cover.jpg": b""}, "cover.jpg in .*: looked for numbers as names, such as 00000.png$"),
        ({**FACES, "sub/0.png": b""}, r"00000.jpg and sub/0.png in .* have the same number$"),
        (
            {"readme.txt": b""},
            "no picture in .*; looked for CelebAMask-HQ.zip, data256x256.zip, celeba-hq-1024x1024.h5",
        ),
        (
            {"deltas00000.zip": b"", "image_list.txt": b""},
            "deltas00000.zip: deltas are no pictures yet; make celeba-hq-",
        ),
        (
            {**FORMS["CelebAMask-HQ's tree"], **FORMS["tree counted from one"]},
            "has CelebAMask-HQ/CelebA-HQ-img and data256x256; leave the one that is meant$",
        ),
    ],
    ids=[
        "no mapping",
        "no line",
        "another line",
        "neither 0 nor 30000",
        "both",
        "no number",
        "a number twice",
        "nothing",
        "deltas",
        "two forms",
    ],
)
def test_what_is_wrong_is_one_clear_error(read: Reader, wrong: Tree, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(wrong)


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        (
            {},
            "looked for val_shuffled.flist or train_shuffled.flist in .*\n"
            "the split of LaMa is in val_shuffled.flist and train_shuffled.flist, which are in the folder fetch_data "
            "of its repository: put both into ",
        ),
        ({"val_shuffled.flist": b"0.jpg"}, "looked for train_shuffled.flist in .*\n.* put both into "),
        (lama_lists([0], [1]), "the picture 2 is in none of val_shuffled.flist and train_shuffled.flist$"),
        (lama_lists([0, 5], [5]), "val_shuffled.flist and train_shuffled.flist both have the picture 5$"),
        (
            {**lama_lists([0], []), "train_shuffled.flist": b"0.jpg\nx.jpg"},
            "flist, line 2: looked for .*found 'x.jpg'$",
        ),
    ],
    ids=["no lists", "one list", "not listed", "listed twice", "no name"],
)
def test_lists_of_lama_that_do_not_fit_are_one_clear_error(read: Reader, lists: Tree, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read({**FACES, **lists}, split="lama")


def test_a_root_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^looked for CelebAMask-HQ.zip or .* which is no folder$"):
        celeba_hq.read(root=RawFolder(tmp_path / "nowhere", tmp_path), split="lama", subset=False)
