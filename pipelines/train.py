"""The stage ``train``: shards -> ``results/experiments/<name>/train/``. Also what torchrun starts."""

from pipelines.stage import run_stage
from wavemix.launch.experiment import train_experiment

if __name__ == "__main__":
    run_stage(train_experiment, of="experiments")
