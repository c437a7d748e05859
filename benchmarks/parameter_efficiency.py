"""Table 5 of the WaveMix paper: the fewest parameters that reach a score, trained and tested on the real sets.

Each network is trained by the project's own loop, in this process, and goes on where it was interrupted. Its weights
are those that are best on the split val; the split test is scored once, behind the last epoch.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks._harness import Row, compared, publish
from wavemix.config import Experiment, Params, load_params
from wavemix.config.load import changed_experiment
from wavemix.errors import DataError, WaveMixError
from wavemix.launch.experiment import train_experiment
from wavemix.launch.plan import Planned, plan
from wavemix.tracking import read_rows
from wavemix.training.scoring import score
from wavemix.training.trained import load_trained

FOLDER = "parameter_efficiency"  # in params.yaml's storage.results, apart from what the pipeline puts there


@dataclass(frozen=True)
class Short:
    """A recipe of fewer epochs than the 300 that the paper allows: AdamW alone, its rate half a cosine."""

    epochs: int
    lr: float
    batch: int = 128
    augment: Mapping[str, float] = field(default_factory=dict)

    def changes(self) -> dict[str, Any]:
        """Of an experiment of params.yaml, whose data, network and seed stay."""
        warmup = min(2, self.epochs // 5)
        schedule = {"kind": "cosine", "warmup_epochs": warmup, "warmup_lr": self.lr / 10}
        phase = {"optimizer": "adamw", "num_epochs": self.epochs, "lr": self.lr, "schedule": schedule}
        recipe = {"global_batch": self.batch, "eval_batch": 512, "log_every_steps": 50, "phases": [phase]}
        return {"recipe": recipe, "task.augment": dict(self.augment)}


RECIPES = {
    "mnist_lite_8_10": Short(epochs=24, lr=0.01),
    "fashion_mnist_lite_8_5": Short(epochs=24, lr=0.01),
    "cifar10_lite_32_7_bilinear": Short(epochs=100, lr=0.005, augment={"shift": 0.1, "horizontal_flip_prob": 0.5}),
    "cifar10_lite_64_6": Short(epochs=100, lr=0.003, augment={"shift": 0.1, "horizontal_flip_prob": 0.5}),
}


def main() -> None:
    """Train what is not trained yet, print the table and write ``results/parameter_efficiency.json``."""
    names = ", ".join(RECIPES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parameter_efficiency", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=RECIPES, help=f"train these alone: {names}")
    parser.add_argument("--epochs", metavar="N", type=int, help="instead of the recipe's; at most 300 in the paper")
    options = parser.parse_args()
    if options.epochs is not None and options.epochs < 1:
        parser.error("--epochs must be at least 1")
    try:
        params = with_recipes(load_params(overrides=here()), options.epochs)
        chosen = options.only or [name for name in RECIPES if is_prepared(params, name)]  # the others: see the notes
        for planned in [planned_of(params, name) for name in chosen]:  # all data are there, or nothing begins
            train_experiment(params, planned.name)
            test(params, planned)
    except WaveMixError as error:
        sys.exit(f"error: {error}")
    rows, notes = table(params)
    publish(FOLDER, rows, notes, save=bool(rows))


def here() -> list[str]:
    """Overrides of params.yaml: one process with torch alone, on a GPU where there is one."""
    gpus = int(torch.cuda.is_available())
    launch = [f"launch.{setting}" for setting in ("launcher=local", "num_workers=1", f"gpus_per_worker={gpus}")]
    return [*launch, "tracking.mlflow_uri=null"]


def with_recipes(params: Params, epochs: int | None) -> Params:
    """The experiments of the table with their short recipes, and results in a folder of their own."""
    experiments = {}
    for name, short in RECIPES.items():
        changes = (short if epochs is None else replace(short, epochs=epochs)).changes()
        experiments[name] = changed_experiment(params.experiments[name], changes, f"experiments.{name}")
    storage = params.storage.model_copy(update={"results": str(Path(params.storage.results) / FOLDER)})
    return params.model_copy(update={"experiments": experiments, "storage": storage})


def is_prepared(params: Params, name: str) -> bool:
    """Whether the shards of the experiment's data set are there."""
    return (Path(params.storage.shards) / params.experiments[name].data / "manifest.json").is_file()


def planned_of(params: Params, name: str) -> Planned:
    """The experiment with its data, or how to get them."""
    if not is_prepared(params, name):
        raise DataError(f"{name}: its data are not there; {how_to_prepare(params, name)}")
    return plan(params, name, params.experiments[name])


def how_to_prepare(params: Params, name: str) -> str:
    """The commands that do it."""
    data = params.experiments[name].data
    return f"run `wavemix data get {data}`, then `wavemix data prepare {data}`"


def test(params: Params, planned: Planned) -> None:
    """Score the split test, and keep the scores with what was trained, how and how long."""
    folder = folder_of(params, planned.name)
    metrics = score(load_trained(folder / "train"), planned.manifest, folder / "evaluation", batch_size=512)
    trained = json.loads((folder / "train" / "model.json").read_text())
    row = {
        "parameters": trained["num_parameters"],
        "epochs": planned.most_steps // planned.steps_per_epoch,
        "recipe": recipe_in_words(planned.experiment),
        "data": f"{planned.manifest.name} by {planned.manifest.source['name']}",
        "val": trained["val_score"],
        "best_epoch": trained["step"] // planned.steps_per_epoch,
        "test": metrics["top1"],
        "seconds": seconds_of(planned),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "threads": torch.get_num_threads(),
    }
    (folder / "row.json").write_text(json.dumps(row, indent=1) + "\n")


def recipe_in_words(experiment: Experiment) -> str:
    """In short, with what is not the paper's plain recipe."""
    (phase,) = experiment.recipe.phases
    augment = experiment.task.model_dump(mode="json", exclude_defaults=True).get("augment", {})
    added = ", ".join(f"{key} {value:g}" for key, value in augment.items())
    return (
        f"AdamW, cosine from {phase.lr:g}, batches of {experiment.recipe.global_batch}, "
        f"{f'augmented ({added}), unlike the paper' if added else 'no augmentation'}, seed {experiment.seed}"
    )


def seconds_of(planned: Planned) -> float:
    """All training steps at the median rate of the run's own log: what others did on the machine counts for little."""
    key = "train/samples_per_second"
    rate: float = statistics.median(row[key] for row in read_rows(planned.run_dir / "metrics.jsonl") if key in row)
    return planned.most_steps / planned.steps_per_epoch * planned.manifest.num_samples("train") / rate


def table(params: Params) -> tuple[list[Row], list[str]]:
    """A row for each network that was trained in this folder so far, and a note on how; a note alone for the others."""
    rows, notes = [], []
    for name in RECIPES:
        (printed,) = params.experiments[name].paper
        assert printed.score is not None
        path = folder_of(params, name) / "row.json"
        if not path.is_file():
            missing = "" if is_prepared(params, name) else f"; {how_to_prepare(params, name)}"
            notes.append(f"{name} ({printed.parameters} parameters, {printed.score:g} %): not measured{missing}")
            continue
        row = json.loads(path.read_text())
        title = f"{name}: {row['parameters']:,} parameters, {row['epochs']} epochs"
        rows.append(compared(title, 100 * row["test"], "%", printed.score, goal=1.0, more_is_better=True))
        notes.append(
            f"{name}: {row['recipe']}; {row['data']}; best of val ({100 * row['val']:.2f} %) in epoch "
            f"{row['best_epoch']}; about {row['seconds']:.0f} s of training steps on {row['device']} "
            f"({row['threads']} threads)"
        )
    return rows, notes


def folder_of(params: Params, name: str) -> Path:
    """Where an experiment's results lie."""
    return Path(params.storage.results) / "experiments" / name


if __name__ == "__main__":
    main()
