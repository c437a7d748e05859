"""What the readers of raw data share: samples before they are read, files in trees and archives, arrays, formats.

It knows no data set by name; those are ``wavemix.data.sources``.
"""

from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.items import Item, Parts, RawSet

__all__ = ["Item", "Parts", "RawFile", "RawFolder", "RawSet"]
