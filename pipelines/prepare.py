"""The stage ``prepare``: raw pictures of one data set -> ``data/shards/<name>/``."""

from pipelines.stage import run_stage
from wavemix.launch.shards import prepare

if __name__ == "__main__":
    run_stage(prepare, of="data")
