"""The stage ``tune``: a sweep's trials -> ``results/sweeps/<name>/``."""

from pipelines.stage import run_stage
from wavemix.launch.sweeps.ray_tune import run_sweep

if __name__ == "__main__":
    run_stage(run_sweep, of="sweeps")
