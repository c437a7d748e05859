"""One database of MLflow for all tests here: to make one takes seconds."""

import pytest

from wavemix.tracking.mlflow import connect


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    connect(uri).search_experiments()
    return uri
