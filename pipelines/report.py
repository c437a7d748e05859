"""The stage ``report``: all results -> ``reports/index.html``; its figures go to the runs in MLflow as well."""

import json
import sys
from pathlib import Path

from pipelines.stage import command_line
from wavemix.config import load_params
from wavemix.errors import WaveMixError
from wavemix.report import figures_of, write_report
from wavemix.tracking.mlflow import add_results

FAULTS = Path("benchmarks/results/faults.json")
"""Measured by hand (`python -m benchmarks.faults`), since it takes two hours."""


def main() -> None:
    arguments = command_line("report").parse_args()
    try:
        params = load_params(arguments.params, arguments.set)
        results, target = Path(params.storage.results), Path(params.storage.reports)
        write_report(results, target, faults=FAULTS)
    except WaveMixError as error:
        sys.exit(f"error: {error}")
    uri = params.tracking.mlflow_uri
    if uri is None:
        return
    for scores in sorted(results.glob("experiments/*/evaluation/metrics.json")):
        folder = scores.parent.parent
        run_key = json.loads((folder / "train" / "model.json").read_text())["run_key"]
        tested = {f"test/{name}": value for name, value in json.loads(scores.read_text())["metrics"].items()}
        add_results(uri, params.tracking.mlflow_experiment, run_key, tested, figures_of(target, folder.name))


if __name__ == "__main__":
    main()
