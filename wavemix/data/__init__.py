"""Raw trees -> samples -> shards -> batches."""

from wavemix.data.loader import Batch, Deal, eval_batches, train_batches
from wavemix.data.manifest import Manifest, check_present, read_manifest
from wavemix.data.schema import LabelledImage, Record
from wavemix.data.shards import verify_shards, write_shards
from wavemix.data.sources import SOURCES

__all__ = [
    "SOURCES",
    "Batch",
    "Deal",
    "LabelledImage",
    "Manifest",
    "Record",
    "check_present",
    "eval_batches",
    "read_manifest",
    "train_batches",
    "verify_shards",
    "write_shards",
]
