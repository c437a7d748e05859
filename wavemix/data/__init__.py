"""Raw files -> samples -> shards -> batches. ``loader`` and ``transforms`` need torch, and are not imported here."""

from wavemix.data.manifest import Manifest, check_present, read_manifest
from wavemix.data.order import Deal, LoaderState
from wavemix.data.plan import Options, Plan, make_plan
from wavemix.data.prepare import write_shards
from wavemix.data.schema import LabelledImage, Record
from wavemix.data.sources import read_source
from wavemix.data.verify import Bad, repair_shards, verify_shards

__all__ = [
    "Bad",
    "Deal",
    "LabelledImage",
    "LoaderState",
    "Manifest",
    "Options",
    "Plan",
    "Record",
    "check_present",
    "make_plan",
    "read_manifest",
    "read_source",
    "repair_shards",
    "verify_shards",
    "write_shards",
]
