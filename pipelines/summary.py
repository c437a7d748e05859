"""What `make demo` says at its end: the scores, the report page and how to open MLflow. It fails if the demo did."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from wavemix.config import load_params
from wavemix.report.scores import baseline_of

HAS_LEARNED: Mapping[str, Callable[[Mapping[str, float]], bool]] = {
    "digits": lambda scores: scores["top1"] >= 0.97,
    "scenes": lambda scores: scores["miou"] >= 0.5,
    "photographs_x2": lambda scores: scores["psnr_y"] > scores["psnr_y_bicubic"],
    "photographs_holes": lambda scores: scores["l1_hole"] <= 0.75 * scores["l1_hole_mean_fill"],
}
"""What the experiments of the demo reach as they are shipped, with room for another seed."""


def main() -> int:
    params = load_params()
    failed = []
    for name in params.active.experiments:
        folder = Path(params.storage.results) / "experiments" / name
        goal, _ = json.loads((folder / "train" / "model.json").read_text())["goal"]
        found = json.loads((folder / "evaluation" / "metrics.json").read_text())
        scores = found["metrics"]
        baseline = baseline_of(goal, scores)
        beside = f", {baseline} {scores[f'{goal}_{baseline}']:.4f}" if baseline else ""
        print(f"{name}: {goal} {scores[goal]:.4f}{beside}  (on {found['num_samples']} held-out samples)")
        if name in HAS_LEARNED and not HAS_LEARNED[name](scores):
            failed.append(name)
    print(f"report: {Path(params.storage.reports).absolute() / 'index.html'}")
    if params.tracking.mlflow_uri:
        print(f"MLflow: .venv/bin/mlflow ui --backend-store-uri {params.tracking.mlflow_uri}")
    for name in failed:
        print(f"error: {name} scored less than a demo that works (pipelines/summary.py)", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
