"""Readers of raw data, one file per data set; each takes flat keyword arguments and returns a ``RawSet``."""

from collections.abc import Callable, Mapping

from wavemix.data.sources import digits, image_folder
from wavemix.data.sources.raw import RawSet

SOURCES: Mapping[str, Callable[..., RawSet]] = {
    "digits": digits.read,
    "image_folder": image_folder.read,
}

__all__ = ["SOURCES", "RawSet"]
