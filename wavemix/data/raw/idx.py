"""IDX files, in which MNIST and its kin are published: big-endian sizes, then bytes. It knows no data set."""

import gzip
import math
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.errors import DataError

UNSIGNED_BYTES = 8
"""The code of this type of value in the header."""


def read_idx(root: RawFolder, prefix: str, *archives: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures ``[n, h, w]`` and labels ``[n]`` of the two files with this prefix, such as ``train``.

    They are gzipped or not, in the folder that the prefix names, at the root, or in an archive; some mirrors have a dot
    before ``idx``.

    Raises:
        DataError: A file is nowhere, cut off, damaged, or of another kind.

    Source: the description of the format on the page of MNIST.
    """
    pictures = _values(_found(root, f"{prefix}-images-idx3-ubyte", *archives), 3)
    labels = _values(_found(root, f"{prefix}-labels-idx1-ubyte", *archives), 1)
    return pictures, labels.astype(np.int64)


def _found(root: RawFolder, name: str, *archives: str) -> RawFile:
    bare = name.rpartition("/")[2]
    names = [one.replace("-idx", dot + "idx") + gz for one in (name, bare) for gz in (".gz", "") for dot in "-."]
    return root.file(root.first(*names) or names[0], *archives)


def _values(file: RawFile, dimensions: int) -> NDArray[np.uint8]:
    """In as many dimensions as its header must announce."""
    content = file.read()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{file.holder}: {file.name} is damaged: {error}; download it again") from None
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, UNSIGNED_BYTES, dimensions]) or len(content) < start:
        raise DataError(
            f"{file.holder}: {file.name} is no IDX file of bytes in {dimensions} dimensions; "
            f"it begins with {content[:4].hex(' ') or 'nothing'}"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"{file.holder}: {file.name} has {len(content) - start} bytes behind its header, "
            f"which announces {' x '.join(map(str, shape))}; download it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
