"""Dicts that Python 2 pickled, read without running what a pickle may name. It knows no data set.

A pickle can call any function. Here the only names it may use are those of numpy's byte arrays, and they get it an
inert object that calls nothing.
"""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavemix.data.raw.archives import RawFile
from wavemix.errors import DataError

NUMPY = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


def read_dict(file: RawFile) -> dict[bytes, Any]:
    """The pickled dict; texts are bytes, as Python 2 had them, and byte arrays are numpy's.

    Raises:
        DataError: It is damaged, is no dict, or names anything but numpy's arrays.
    """
    try:
        found = _Unpickler(io.BytesIO(file.read()), encoding="bytes").load()
        if not isinstance(found, dict):
            raise pickle.UnpicklingError(f"a pickled {type(found).__name__} and no dict")
        return {key: _array(value) if isinstance(value, _Inert) else value for key, value in found.items()}
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{file.holder}: cannot unpickle {file.name}: {error}; download it again") from None


class _Inert:
    """Holds what a pickle would have given to numpy."""

    def __init__(self, *given: Any) -> None:
        self.given = given

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Inert]:
        if (module, name) not in NUMPY:
            raise pickle.UnpicklingError(f"refused, it asks for {module}.{name}, and pictures need no such thing")
        return _Inert


def _array(pickled: _Inert) -> NDArray[np.uint8]:
    """Raises ValueError, TypeError or AttributeError if it is no array of bytes."""
    _, shape, kind, column_major, content = pickled.state
    if kind.given[0] != b"u1":
        raise ValueError(f"an array of {kind.given[0]!r}, looked for bytes (u1)")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if column_major else "C")
