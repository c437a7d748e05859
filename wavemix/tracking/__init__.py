"""Where numbers go: lines of JSON first, MLflow as their mirror."""

from wavemix.tracking.faults import FAULTS, note_fault
from wavemix.tracking.jsonl import Follower, JsonLines, append_row, read_rows
from wavemix.tracking.system import sampled_system

__all__ = ["FAULTS", "Follower", "JsonLines", "append_row", "note_fault", "read_rows", "sampled_system"]
