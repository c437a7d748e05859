"""Readers of raw data, one file per data set; each takes flat keyword arguments and returns a ``RawSet``.

They know no shards. What several of them need is in ``wavemix.data.raw``.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from wavemix.data.raw.items import RawSet
from wavemix.data.sources import (
    celeba_hq,
    cifar,
    cityscapes,
    digits,
    div2k,
    emnist,
    flat_folder,
    galaxy10,
    image_folder,
    imagenet,
    inaturalist,
    mask_folder,
    mnist,
    photographs,
    places365,
    scenes,
    sr_benchmark,
    svhn,
    tiny_imagenet,
)
from wavemix.errors import DataError

SOURCES: Mapping[str, Callable[..., RawSet]] = {
    "celeba_hq": celeba_hq.read,
    "cifar10": cifar.read_cifar10,
    "cifar100": cifar.read_cifar100,
    "cityscapes": cityscapes.read,
    "digits": digits.read,
    "div2k": div2k.read,
    "emnist": emnist.read,
    "fashion_mnist": mnist.read_fashion,
    "flat_folder": flat_folder.read,
    "galaxy10": galaxy10.read,
    "image_folder": image_folder.read,
    "imagenet": imagenet.read,
    "inaturalist": inaturalist.read,
    "mask_folder": mask_folder.read,
    "mnist": mnist.read,
    "photographs": photographs.read,
    "places365": places365.read,
    "scenes": scenes.read,
    "sr_benchmark": sr_benchmark.read,
    "svhn": svhn.read,
    "tiny_imagenet": tiny_imagenet.read,
}


def read_source(name: str, **options: Any) -> RawSet:
    """A data set before sharding, by the name of its source.

    Args:
        name: In ``SOURCES``.
        options: The arguments of its reader, and ``subset``, which not every reader has use for.

    Raises:
        DataError: What the reader found missing or wrong, behind ``source <name>:``.
    """
    read = SOURCES[name]
    if "subset" not in inspect.signature(read).parameters:
        options.pop("subset", None)
    try:
        return read(**options)
    except DataError as error:
        raise DataError(f"source {name}: {error}") from None
