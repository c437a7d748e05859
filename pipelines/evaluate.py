"""The stage ``evaluate``: exported weights and held-out shards -> ``results/experiments/<name>/evaluation/``."""

import json
from pathlib import Path

from pipelines.stage import run_stage
from wavemix.config import Params
from wavemix.data import check_present, read_manifest
from wavemix.files import write_aside
from wavemix.training.cost import measure_cost
from wavemix.training.scoring import score
from wavemix.training.trained import load_trained


def evaluate(params: Params, name: str) -> None:
    experiment = params.experiments[name]
    folder = Path(params.storage.results) / "experiments" / name
    manifest = read_manifest(Path(params.storage.shards) / experiment.data)
    check_present(manifest)
    trained = load_trained(folder / "train")
    score(
        trained,
        manifest,
        folder / "evaluation",
        split="test" if "test" in manifest.splits else "val",  # of some sets nobody has the test labels
        batch_size=experiment.recipe.eval_batch,
        num_workers=params.launch.loader_workers,
    )
    measure_cost(trained.task, manifest, folder / "evaluation")
    others = folder / "evaluation" / "others"
    write_aside(others / "sets.json", json.dumps(experiment.scored_on).encode())  # DVC warns of an empty folder
    for other in experiment.scored_on:
        manifest = read_manifest(Path(params.storage.shards) / other)
        check_present(manifest)
        alike = manifest.schema == "labelled_image"  # pictures of other kinds may differ in size
        size = experiment.recipe.eval_batch if alike else 1
        score(trained, manifest, others / other, other_data=True, batch_size=size)


if __name__ == "__main__":
    run_stage(evaluate, of="experiments")
