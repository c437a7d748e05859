"""CIFAR-10 and CIFAR-100: both forms, packed and unpacked, are one set; a pickle runs nothing."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from factories.arrays import CLASSES10, CLASSES100, as_python2_pickle, cifar10, cifar100, labels, pictures
from factories.pack import Tree, as_tar
from factories.reading import root, samples
from wavemix.data.raw.items import RawSet
from wavemix.data.sources import cifar
from wavemix.errors import DataError

ARCHIVES = {
    "cifar-10-batches-bin": "cifar-10-binary.tar.gz",
    "cifar-10-batches-py": "cifar-10-python.tar.gz",
    "cifar-100-binary": "cifar-100-binary.tar.gz",
    "cifar-100-python": "cifar-100-python.tar.gz",
}


def packed(tree: Tree) -> Tree:
    return {ARCHIVES[next(iter(tree)).split("/")[0]]: as_tar(tree, gz=True)}


def forms(make: Callable[..., Tree]) -> list[Tree]:
    return [pack(make(pickled=pickled)) for pickled in (False, True) for pack in (packed, lambda tree: tree)]


def read10(folder: Path, tree: Tree, *, val_fraction: float = 0.0) -> RawSet:
    return cifar.read_cifar10(root=root(folder, tree), val_fraction=val_fraction, seed=0)


def read100(folder: Path, tree: Tree) -> RawSet:
    return cifar.read_cifar100(root=root(folder, tree), val_fraction=0.0, seed=0)


def error(folder: Path, tree: Tree, read: Callable[[Path, Tree], RawSet] = read10) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, tree)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).replace(f"{folder}/raw", "ROOT")


@pytest.mark.parametrize("pickled", [False, True])
def test_batches_follow_each_other(tmp_path: Path, pickled: bool) -> None:
    raw = read10(tmp_path, cifar10(per_batch=4, pickled=pickled))
    assert raw.classes == tuple(CLASSES10)
    found = samples(raw, "train")
    assert [key for key, _, _ in found] == [f"train-{index:06d}" for index in range(20)]
    assert [label for _, label, _ in found] == labels(4).tolist() * 5
    batches = [pictures(4, 32, 32, 3, seed=number) for number in range(1, 7)]
    np.testing.assert_array_equal([picture for _, _, picture in found], np.concatenate(batches[:5]))
    np.testing.assert_array_equal([picture for _, _, picture in samples(raw, "test")], batches[5])


@pytest.mark.parametrize("pickled", [False, True])
def test_cifar100_has_the_fine_classes(tmp_path: Path, pickled: bool) -> None:
    raw = read100(tmp_path, cifar100(train=8, test=4, pickled=pickled))
    assert raw.classes == tuple(CLASSES100)
    assert [item.label for item in raw.items["train"]] == list(range(7, 15))
    np.testing.assert_array_equal([one for _, _, one in samples(raw, "test")], pictures(4, 32, 32, 3, seed=1))
    assert raw.expected == {"train": 50_000, "test": 10_000}


@pytest.mark.parametrize(("make", "read"), [(cifar10, read10), (cifar100, read100)])
def test_every_form_is_the_same_set(
    tmp_path: Path, make: Callable[..., Tree], read: Callable[[Path, Tree], RawSet]
) -> None:
    first, *others = [read(tmp_path / str(number), tree) for number, tree in enumerate(forms(make))]
    for other in others:
        assert (other.items, other.classes, other.expected) == (first.items, first.classes, first.expected)
        assert other.fingerprint == first.fingerprint
        for split in ("train", "test"):
            for (*one, pixels), (*same, others_pixels) in zip(
                samples(first, split), samples(other, split), strict=True
            ):
                assert one == same
                np.testing.assert_array_equal(pixels, others_pixels)


def test_a_whole_set_would_have_the_published_counts(tmp_path: Path) -> None:
    raw = read10(tmp_path, cifar10(pickled=False), val_fraction=0.4)
    assert len(raw.items["val"]) == 8  # two of the five of each of four classes
    assert raw.expected == {"train": 49_992, "val": 8, "test": 10_000}


def test_the_fingerprint_follows_a_pixel(tmp_path: Path) -> None:
    tree = dict(cifar10(pickled=False))
    before = read10(tmp_path / "before", tree).fingerprint
    batch = bytearray(tree["cifar-10-batches-bin/data_batch_3.bin"])
    batch[100] ^= 1
    tree["cifar-10-batches-bin/data_batch_3.bin"] = bytes(batch)
    assert read10(tmp_path / "after", tree).fingerprint != before


def test_nothing_there_names_both_archives(tmp_path: Path) -> None:
    assert error(tmp_path, cifar100(pickled=False)) == (
        "looked for cifar-10-binary.tar.gz or cifar-10-python.tar.gz in ROOT, found cifar-100-binary"
    )
    assert error(tmp_path / "100", cifar10(pickled=False), read100).startswith("looked for cifar-100-")


@pytest.mark.parametrize("pickled", [False, True])
def test_a_missing_batch_and_missing_names_are_named(tmp_path: Path, pickled: bool) -> None:
    for number, name in enumerate(name for name in cifar10(pickled=pickled) if "_3" in name or "meta" in name):
        tree = {path: content for path, content in cifar10(pickled=pickled).items() if path != name}
        assert error(tmp_path / str(number), tree).startswith(f"looked for {name} or cifar-10-")


def test_a_binary_batch_that_is_cut_off_is_named(tmp_path: Path) -> None:
    tree = dict(cifar10(pickled=False))
    tree["cifar-10-batches-bin/test_batch.bin"] = tree["cifar-10-batches-bin/test_batch.bin"][:-1]
    assert "test_batch.bin is cut off, it ends within a picture; download it again" in error(tmp_path, tree)


BATCH = "cifar-10-batches-py/data_batch_1"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (cifar10(pickled=True)[BATCH][:-500], "cannot unpickle .*; download it again$"),
        (b"", "cannot unpickle .*; download it again$"),
        (b"<html>no such page</html>", "cannot unpickle .*; download it again$"),
        (as_python2_pickle([1, 2]), "a pickled list and no dict"),
        (as_python2_pickle({b"labels": [1]}), r"data_batch_1 has no data or labels, but \[b'labels'\]$"),
        (as_python2_pickle({b"labels": [1], b"data": b"x"}), "data_batch_1 has no data or labels"),
        (as_python2_pickle({b"labels": [1], b"data": pictures(1, 9)}), "data_batch_1 has no data or labels"),
        (as_python2_pickle({b"data": pictures(1, 3072)}).replace(b"u1", b"O8"), r"an array of b'O8', looked for bytes"),
    ],
)
def test_a_damaged_pickle_is_one_error(tmp_path: Path, content: bytes, what: str) -> None:
    told = error(tmp_path, {**cifar10(pickled=True), BATCH: content})
    with pytest.raises(DataError, match=what):
        raise DataError(told)


class Call:
    """Pickled, it is a call of a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_cannot_run_anything(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "it ran"
    for number, call in enumerate([Call(Path.touch, mark), Call(eval, f"open({str(mark)!r}, 'w')")]):
        content = pickle.dumps({b"data": call}, protocol=protocol)
        told = error(tmp_path / str(number), {**cifar10(pickled=True), BATCH: content})
        assert "refused, it asks for " in told
        assert not mark.exists()


def test_a_pickle_cannot_reach_numpy_itself(tmp_path: Path) -> None:
    content = b"cnumpy\nload\n(Vx\ntR."
    assert "refused, it asks for numpy.load, and pictures" in error(tmp_path, {**cifar10(pickled=True), BATCH: content})
    dotted = b"\x80\x04\x8c\x05numpy\x8c\x0ddtype.__new__\x93."
    assert "refused, it asks for numpy.dtype.__new__" in error(tmp_path, {**cifar10(pickled=True), BATCH: dotted})
