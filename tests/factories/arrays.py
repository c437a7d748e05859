"""Sets that are published as arrays, a few pictures of each: IDX, CIFAR's two forms, MATLAB and HDF5."""

import gzip
import io
import struct
from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from factories.pack import Tree, as_zip

Pixels = NDArray[np.uint8]


def pictures(count: int, *size: int, seed: int = 0) -> Pixels:
    """Random ones, ``[count, *size]``."""
    return np.random.default_rng(seed).integers(0, 256, (count, *size), dtype=np.uint8)


def labels(count: int, num_classes: int = 10) -> NDArray[np.uint8]:
    """Every class in turn."""
    return (np.arange(count) % num_classes).astype(np.uint8)


def as_idx(values: NDArray[np.uint8], *, gz: bool = True) -> bytes:
    content = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
    return gzip.compress(content, mtime=0) if gz else content


def mnist(train: int = 40, test: int = 20, *, gz: bool = True, dot: bool = False) -> Tree:
    """The four files; the pictures are those of ``pictures(train, 28, 28)`` and ``pictures(test, 28, 28, seed=1)``."""
    tree = {}
    for seed, (prefix, count) in enumerate({"train": train, "t10k": test}.items()):
        tree[f"{prefix}-images-idx3-ubyte"] = as_idx(pictures(count, 28, 28, seed=seed), gz=gz)
        tree[f"{prefix}-labels-idx1-ubyte"] = as_idx(labels(count), gz=gz)
    return {name.replace("-idx", ".idx") if dot else name + ".gz" * gz: content for name, content in tree.items()}


MAPPINGS = {
    "letters": "".join(f"{index + 1} {ord('A') + index} {ord('a') + index}\n" for index in range(26)),
    "digits": "".join(f"{index} {ord('0') + index}\n" for index in range(10)),
}


def emnist(part: str, train: int = 52, test: int = 26, *, gz: bool = True) -> Tree:
    """What is in ``gzip.zip``, of one part; pictures as in ``mnist``, but stored column by column."""
    mapping = MAPPINGS[part]
    first, num_classes = int(mapping.split()[0]), len(mapping.splitlines())
    tree = {f"gzip/emnist-{part}-mapping.txt": mapping.encode()}
    for seed, (split, count) in enumerate({"train": train, "test": test}.items()):
        stored = np.ascontiguousarray(pictures(count, 28, 28, seed=seed).transpose(0, 2, 1))
        prefix, suffix = f"gzip/emnist-{part}-{split}", ".gz" * gz
        tree[f"{prefix}-images-idx3-ubyte{suffix}"] = as_idx(stored, gz=gz)
        tree[f"{prefix}-labels-idx1-ubyte{suffix}"] = as_idx(labels(count, num_classes) + np.uint8(first), gz=gz)
    return tree


def emnist_zip(part: str) -> Tree:
    return {"gzip.zip": as_zip(emnist(part))}


CLASSES10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CLASSES100 = [f"fine_{index:02d}" for index in range(100)]


def cifar10(per_batch: int = 4, *, pickled: bool) -> Tree:
    """The folder of either form: ``pictures(per_batch, 32, 32, 3, seed=b)`` for batch b, of which the sixth is test."""
    folder, suffix = ("cifar-10-batches-py", "") if pickled else ("cifar-10-batches-bin", ".bin")
    tree = {}
    for number, name in enumerate([*(f"data_batch_{index}" for index in range(1, 6)), "test_batch"], start=1):
        pixels, of_each = _planes(pictures(per_batch, 32, 32, 3, seed=number)), labels(per_batch)
        batch = {b"batch_label": name.encode(), b"labels": of_each.tolist(), b"data": pixels}
        tree[f"{folder}/{name}{suffix}"] = (
            as_python2_pickle(batch) if pickled else np.column_stack([of_each, pixels]).tobytes()
        )
    meta = {b"num_vis": 3072, b"label_names": [name.encode() for name in CLASSES10]}
    tree[f"{folder}/batches.meta{'' if pickled else '.txt'}"] = (
        as_python2_pickle(meta) if pickled else ("\n".join(CLASSES10) + "\n\n").encode()
    )
    return tree


def cifar100(train: int = 8, test: int = 4, *, pickled: bool) -> Tree:
    """As ``cifar10``; coarse labels are not the fine ones."""
    folder, suffix = ("cifar-100-python", "") if pickled else ("cifar-100-binary", ".bin")
    tree = {}
    for seed, (name, count) in enumerate({"train": train, "test": test}.items()):
        pixels = _planes(pictures(count, 32, 32, 3, seed=seed))
        fine, coarse = labels(count, 100) + np.uint8(7), labels(count, 20)
        batch = {b"fine_labels": fine.tolist(), b"coarse_labels": coarse.tolist(), b"data": pixels}
        tree[f"{folder}/{name}{suffix}"] = (
            as_python2_pickle(batch) if pickled else np.column_stack([coarse, fine, pixels]).tobytes()
        )
    names = {b"fine_label_names": [name.encode() for name in CLASSES100], b"coarse_label_names": [b"fish"]}
    if pickled:
        return {**tree, f"{folder}/meta": as_python2_pickle(names)}
    return {
        **tree,
        f"{folder}/fine_label_names.txt": ("\n".join(CLASSES100) + "\n").encode(),
        f"{folder}/coarse_label_names.txt": b"fish\n",
    }


def svhn(train: int = 20, extra: int = 10, test: int = 10) -> Tree:
    """MATLAB's labels run from 1 to 10, where 10 is the digit 0."""
    tree = {}
    for seed, (name, count) in enumerate({"train": train, "extra": extra, "test": test}.items()):
        buffer = io.BytesIO()
        pixels, digits = pictures(count, 32, 32, 3, seed=seed), labels(count)
        savemat(
            buffer,
            {"X": pixels.transpose(1, 2, 3, 0), "y": np.where(digits == 0, 10, digits).astype(np.uint8)[:, None]},
            do_compression=True,
        )
        tree[f"{name}_32x32.mat"] = buffer.getvalue()
    return tree


def galaxy10(count: int = 30, side: int = 16) -> Tree:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        # As h5py cuts it by itself: a chunk holds a piece of several pictures.
        file.create_dataset("images", data=pictures(count, side, side, 3), chunks=(8, 8, 8, 1), compression="gzip")
        file.create_dataset("ans", data=labels(count))
    return {"Galaxy10_DECals.h5": buffer.getvalue()}


def _planes(pixels: Pixels) -> Pixels:
    """``[n, 3072]``: a picture's red, then its green, then its blue."""
    return pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)


def as_python2_pickle(value: Any) -> bytes:
    """With protocol 2, texts as bytes, and an array as numpy wrote it then: as no Python of today would write them."""
    return b"\x80\x02" + b"".join(_opcodes(value)) + b"."


def _opcodes(value: Any) -> Iterable[bytes]:
    match value:
        case bool():
            yield b"\x88" if value else b"\x89"
        case int():
            yield b"J" + struct.pack("<i", value)
        case bytes():
            yield b"T" + struct.pack("<i", len(value)) + value
        case list() | tuple():
            yield from (b"](" if isinstance(value, list) else b"(", *(b"".join(_opcodes(one)) for one in value))
            yield b"e" if isinstance(value, list) else b"t"
        case dict():
            yield from (b"}(", *(b"".join(_opcodes(one)) for pair in value.items() for one in pair), b"u")
        case np.ndarray():
            yield from (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n", *_opcodes((0,)), *_opcodes(b"b"))
            yield from (b"\x87R(", *_opcodes(1), *_opcodes(value.shape), b"cnumpy\ndtype\n", *_opcodes(b"u1"))
            yield from (*_opcodes(0), *_opcodes(1), b"\x87R(", *_opcodes(3), *_opcodes(b"|"), b"NNN")
            yield from (*_opcodes(-1), *_opcodes(-1), *_opcodes(0), b"tb")
            yield from (*_opcodes(False), *_opcodes(value.tobytes()), b"tb")
