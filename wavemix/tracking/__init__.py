"""Where numbers go: lines of JSON first, MLflow as their mirror."""

from wavemix.tracking.jsonl import Follower, JsonLines, append_row, read_rows
from wavemix.tracking.system import sampled_system

__all__ = ["Follower", "JsonLines", "append_row", "read_rows", "sampled_system"]
