"""Places365-Standard, packed and unpacked, in both sizes: the same pictures, scenes and order, or one clear error."""

from pathlib import Path

import pytest

from factories import large
from factories.pack import Tree
from factories.reading import Reader, contents_of, reader
from wavemix.data.sources import places365
from wavemix.errors import DataError

LISTS = "filelist_places365-standard"


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(places365.read, tmp_path, size="256", subset=False)


def tree(size: str = "256") -> dict[str, bytes]:
    return {**large.places_pictures(size), **large.places_lists()}


LAYOUTS = {
    "tars": large.places_tars,
    "tree with the lists in a folder": lambda size: {
        **large.places_pictures(size),
        **large.below(LISTS, large.places_lists()),
    },
    "torchvision's tree": lambda size: {
        path.replace(f"data_{size}/", f"data_{size}_standard/"): content for path, content in tree(size).items()
    },
    "tars beside the lists": lambda size: {
        **{name: content for name, content in large.places_tars(size).items() if not name.startswith(LISTS)},
        **large.places_lists(),
    },
}


@pytest.mark.parametrize("size", ["256", "large"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_same_pictures_labels_and_order(read: Reader, layout: str, size: str) -> None:
    raw = read(LAYOUTS[layout](size), size=size)
    assert (raw.schema, raw.expected) == ("labelled_image", {"train": 1_803_460, "val": 36_500})
    assert raw.classes == ("airfield", "apartment_building/outdoor", "zen_garden")
    assert [(item.key, item.label) for item in raw.items["train"]] == [
        ("a/airfield/00000001", 0),
        ("a/airfield/00000002", 0),
        ("a/apartment_building/outdoor/00000001", 1),
        ("z/zen_garden/00000001", 2),
    ]
    assert [(item.key, item.label) for item in raw.items["val"]] == [
        ("Places365_val_00000001", 2),
        ("Places365_val_00000002", 0),
    ]
    tree_raw = read(tree(size), size=size, name="tree")
    assert contents_of(raw) == contents_of(tree_raw)
    assert raw.fingerprint == tree_raw.fingerprint


def test_the_size_chooses_the_pictures(read: Reader) -> None:
    both = {**tree("256"), **tree("large")}
    small, big = read(both), read(both, size="large")
    assert small.read(small.items["val"][0].what)["image"] == both["val_256/Places365_val_00000001.jpg"]
    assert big.read(big.items["val"][0].what)["image"] == both["val_large/Places365_val_00000001.jpg"]
    assert small.fingerprint != big.fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {"val_256/Places365_val_00000001.jpg": large.picture(1, (40, 40))},
        {"places365_val.txt": b"Places365_val_00000001.jpg 1\nPlaces365_val_00000002.jpg 0\n"},
        {"categories_places365.txt": b"/a/airstrip 0\n/a/apartment_building/outdoor 1\n/z/zen_garden 2\n"},
    ],
    ids=["another picture", "another label", "another class"],
)
def test_the_fingerprint_changes_with_the_data(read: Reader, changed: Tree) -> None:
    assert read({**tree(), **changed}, name="changed").fingerprint != read(tree()).fingerprint


def test_a_subset_may_lack_pictures_and_keeps_the_classes(read: Reader) -> None:
    few = {path: content for path, content in tree().items() if "/airfield/" not in path}
    with pytest.raises(DataError, match=r"2 of 4 labels have no picture, such as a/airfield/00000001.jpg"):
        read(few)
    raw = read(few, subset=True)
    assert len(raw.classes) == 3
    assert [item.label for item in raw.items["train"]] == [1, 2]
    assert len(raw.items["val"]) == 2


def without(start: str) -> Tree:
    return {path: content for path, content in tree().items() if not path.startswith(start)}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            without("data_256"),
            "looked for data_256/ or train_256_places365standard.tar in .*, found categories",
        ),
        (without("val_256"), "looked for val_256/ or val_256.tar"),
        (without("categories"), "looked for categories_places365.txt or filelist_places365-standard.tar"),
        (without("places365_train"), "looked for places365_train_standard.txt or filelist"),
        (without("places365_val"), "looked for places365_val.txt or filelist"),
        (
            {**tree(), "data_256/b/barn/00000001.jpg": b""},
            "data_256/ and places365_train_standard.txt disagree: b/barn/00000001.jpg has no label",
        ),
        ({**tree(), "places365_val.txt": b"Places365_val_00000001.jpg\n"}, "places365_val.txt, line 1: looked for"),
        (
            {**tree(), "places365_val.txt": b"Places365_val_00000001.jpg 3\n"},
            "categories_places365.txt has 3 classes",
        ),
        ({**tree(), "categories_places365.txt": b"/a/airfield 1\n"}, "looked for .* 0', found '/a/airfield 1'"),
        ({**tree(), "categories_places365.txt": b"airfield 0\n"}, "found 'airfield 0'"),
    ],
)
def test_what_is_missing_or_wrong_is_one_clear_error(read: Reader, wrong: Tree, told: str) -> None:
    with pytest.raises(DataError, match=told) as raised:
        read(wrong)
    assert str(raised.value).count("\n") <= 2


def test_a_subset_of_nothing_is_an_error(read: Reader) -> None:
    with pytest.raises(DataError, match=r"val_256/ and places365_val.txt disagree: 2 of 2 labels"):
        read({**without("val_256"), "val_256/readme.txt": b""}, subset=True)
