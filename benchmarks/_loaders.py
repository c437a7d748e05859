"""The ways to get batches of labelled JPEGs that are measured side by side; it knows no clock.

Every way yields (pictures uint8 ``[b, 3, 224, 224]``, labels int64 ``[b]``) of one epoch in an order of its own, cut to
size by the same function.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
import webdataset
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from xxhash import xxh3_64_intdigest

from benchmarks._pictures import contents_of, labelled, write_pictures
from wavemix.data import Manifest, Options, make_plan, read_source, write_shards
from wavemix.data.decode import UInt8Image, decode_image
from wavemix.data.loader import train_batches
from wavemix.data.order import Deal
from wavemix.data.raw.archives import RawFolder
from wavemix.data.schema import LabelledImage
from wavemix.data.transforms import resize_and_crop

SIDE = 224
BATCH = 64
SHUFFLED = 1000  # samples in WebDataset's buffer, as in its documentation
WINDOW = 16384  # our default
SAMPLES_PER_SHARD = 100  # small ones, so that WebDataset's processes, which get whole shards, have equal shares

Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Stored:
    """The same pictures in each form."""

    files: list[tuple[Path, int]]
    contents: list[bytes]
    manifest: Manifest

    @property
    def steps(self) -> int:
        return -(-len(self.files) // BATCH)


def store(folder: Path, count: int, size: tuple[int, int]) -> Stored:
    """Write pictures of about this size (width, height) as files and as shards."""
    paths = write_pictures(folder / "raw", {"train": count, "val": 1}, size=size)[:count]
    raw = read_source("image_folder", root=RawFolder(folder / "raw", folder / "scratch"))
    plan = make_plan(raw, name="pictures", source={}, options=Options(SAMPLES_PER_SHARD, check=False))
    return Stored(list(labelled(paths)), contents_of(paths), write_shards(plan, folder / "shards"))


def alone(stored: Stored, *, min_side: int = 0) -> Iterator[UInt8Image]:
    """No loader at all: bytes in memory, decoded and cut to size one after the other."""
    return (resize_and_crop(decode_image(content, min_side=min_side), SIDE, exact=False) for content in stored.contents)


def ours(stored: Stored, *, num_workers: int = 0, min_side: int = 0) -> Batches:
    """This project's loader over shards."""
    batches = train_batches(
        stored.manifest,
        partial(LabelledImage.decode, min_side=min_side),
        _sample_cut,
        Deal(len(stored.files), BATCH, rank=0, world_size=1),
        seed=0,
        window=WINDOW,
        num_workers=num_workers,
    )
    with closing(batches):  # it would go on for ever
        for batch in islice(batches, stored.steps):
            yield batch["image"], batch["label"]


def web(stored: Stored, decode: Callable[[str, bytes], UInt8Image | None] | str, *, num_workers: int = 0) -> Batches:
    """WebDataset over the same shards: the pipeline of its documentation, batched where it is decoded."""
    tars = [str(stored.manifest.folder / shard.name) for shard in stored.manifest.shards("train")]
    samples = webdataset.WebDataset(tars, shardshuffle=len(tars)).shuffle(SHUFFLED)
    batches = (
        samples.decode(decode)
        .to_tuple("jpg", "cls")
        .map_tuple(_planes_cut, int)
        .batched(BATCH, collation_fn=default_collate)
    )
    yield from DataLoader(batches, batch_size=None, num_workers=num_workers)


def files(stored: Stored, decode: Callable[[Path], UInt8Image], *, num_workers: int = 0) -> Batches:
    """torch's DataLoader over the files."""
    yield from DataLoader(_Files(stored.files, decode), BATCH, shuffle=True, num_workers=num_workers)


def decode_member(extension: str, content: bytes) -> UInt8Image | None:
    """Our decoder as one of WebDataset's."""
    return decode_image(content) if extension == ".jpg" else None


def decode_file(path: Path) -> UInt8Image:
    """Our decoder of a file."""
    return decode_image(path.read_bytes())


def pillow_file(path: Path) -> UInt8Image:
    """What torchvision's ImageFolder does."""
    with path.open("rb") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def opencv(content: bytes) -> UInt8Image:
    """As RGB, and turned as little as the others turn it."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels: UInt8Image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    return pixels


def pillow(content: bytes) -> UInt8Image:
    """As in its documentation."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


LIBRARIES: Mapping[str, Callable[[bytes], UInt8Image]] = {
    "simplejpeg": simplejpeg.decode_jpeg,
    "this project (simplejpeg, checked)": decode_image,
    "OpenCV": opencv,
    "Pillow": pillow,
}


def digests(batches: Batches) -> list[tuple[int, int]]:
    """Label and checksum of each sample, sorted: equal for equal samples in any order."""
    return sorted(
        (int(label), xxh3_64_intdigest(image.numpy().tobytes()))
        for images, labels in batches
        for image, label in zip(images, labels, strict=True)
    )


class _Files(Dataset[tuple[Tensor, int]]):
    def __init__(self, files: list[tuple[Path, int]], decode: Callable[[Path], UInt8Image]) -> None:
        self.files, self.decode = files, decode

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.files[index]
        return torch.from_numpy(_planes_cut(self.decode(path))), label


def _planes_cut(image: UInt8Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(resize_and_crop(image, SIDE, exact=False).transpose(2, 0, 1))


def _sample_cut(sample: LabelledImage, _generator: np.random.Generator) -> LabelledImage:
    return replace(sample, image=resize_and_crop(sample.image, SIDE, exact=False))
