"""Pictures of an array: kept in scratch once, reached from any process, never out of date."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from factories.arrays import labels, pictures
from factories.reading import samples
from wavemix.data.raw.archives import RawFolder, Told
from wavemix.data.raw.arrays import Part, labelled
from wavemix.data.raw.items import RawSet
from wavemix.errors import DataError

Reader = Callable[..., RawSet]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    def read_part(part: Part, told: Told = lambda _what, _count: None) -> RawSet:
        (tmp_path / "raw").mkdir(exist_ok=True)
        root = RawFolder(tmp_path / "raw", tmp_path / "scratch", told)
        return labelled("tiny", {"train": part}, {}, 0, tuple("0123456789"), root)

    return read_part


def part(count: int = 20, seed: int = 0) -> Part:
    return Part(pictures(count, 3, 5, seed=seed), labels(count).astype(np.int64), count)


def test_scratch_has_one_plain_file_that_is_found_again(read: Reader, tmp_path: Path) -> None:
    read(part())
    (path,) = (tmp_path / "scratch").iterdir()
    np.testing.assert_array_equal(np.load(path), part().pixels)
    before = path.stat().st_mtime_ns
    read(part())
    assert [path] == list((tmp_path / "scratch").iterdir())
    assert path.stat().st_mtime_ns == before


def test_other_pictures_get_another_file(read: Reader) -> None:
    first = read(part())
    second = read(part(seed=1))
    np.testing.assert_array_equal(samples(first, "train")[3][2], part().pixels[3])
    np.testing.assert_array_equal(samples(second, "train")[3][2], part(seed=1).pixels[3])


def test_what_other_processes_get_is_small(read: Reader) -> None:
    raw = read(part(2000))
    assert len(pickle.dumps(raw.read)) < 500
    assert len(pickle.dumps(raw.items["train"][7].what)) < 50


def test_pictures_in_any_order_of_axes_are_kept_row_by_row(read: Reader) -> None:
    straight = pictures(1030, 2, 3, 3)  # more than is written at once
    as_matlab = np.asfortranarray(np.moveaxis(straight, 0, -1))
    raw = read(Part(np.moveaxis(as_matlab, -1, 0), labels(1030).astype(np.int64), 1030))
    np.testing.assert_array_equal([picture for _, _, picture in samples(raw, "train")], straight)


def test_progress_is_told(read: Reader) -> None:
    heard: list[tuple[str, int]] = []
    read(part(1030), told=lambda what, count: heard.append((what, count)))
    assert heard[:2] == [("reading tiny-train, pictures", 0), ("reading tiny-train, pictures", 1024)]


def test_scratch_that_is_gone_is_one_error(read: Reader, tmp_path: Path) -> None:
    raw = read(part(seed=9))
    for path in (tmp_path / "scratch").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"tiny-train-\w+\.npy: cannot be read: .*; prepare the data set again$"):
        raw.read(raw.items["train"][0].what)


def test_scratch_that_cannot_be_written_is_one_error(read: Reader, tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file")
    with pytest.raises(DataError, match=r"tiny-train-\w+\.npy: cannot be written: "):
        read(part())


@pytest.mark.parametrize("pixels", [pictures(4, 3), pictures(4, 3, 3, 4), pictures(4, 3, 3).astype(np.int16)])
def test_what_holds_no_pictures_is_refused(read: Reader, pixels: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"^train is u?int\d+ \(4, .*; looked for uint8"):
        read(Part(pixels, labels(4).astype(np.int64), 4))


def test_a_part_without_pictures_is_refused(read: Reader) -> None:
    with pytest.raises(DataError, match=r"^train has 0 pictures and 0 labels$"):
        read(part(0))
