"""What `make demo` says at its end: the scores, the report page and how to open MLflow."""

import json
from pathlib import Path

from wavemix.config import load_params


def main() -> None:
    params = load_params()
    for name in params.active.experiments:
        path = Path(params.storage.results) / "experiments" / name / "evaluation" / "metrics.json"
        found = json.loads(path.read_text())
        numbers = ", ".join(f"{metric} {value:.4f}" for metric, value in found["metrics"].items())
        print(f"{name}: {numbers}  (on {found['num_samples']} held-out samples)")
    print(f"report: {Path(params.storage.reports).absolute() / 'index.html'}")
    if params.tracking.mlflow_uri:
        print(f"MLflow: .venv/bin/mlflow ui --backend-store-uri {params.tracking.mlflow_uri}")


if __name__ == "__main__":
    main()
