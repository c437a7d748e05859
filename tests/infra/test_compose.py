"""The compose file against the specification's schema, and what its users rely on. No container runs here."""

import json
import re
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest

FOLDER = Path(__file__).parents[2] / "infra/compose"
SECRET = re.compile(r"PASSWORD|SECRET|KEY")


@pytest.fixture(scope="module")
def compose(read: Callable[[str], list[Any]]) -> dict[str, Any]:
    (document,) = read("compose/compose.yaml")
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def test_it_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    vendored = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(Path(str(distribution("check-jsonschema").locate_file(vendored))).read_text())
    specification = jsonschema.Draft202012Validator(schema)
    specification.validate(compose)
    assert not specification.is_valid({**compose, "services": {"mlflow": {"imagine": "a typing error"}}})


def test_passwords_come_from_the_environment_and_none_may_be_missing(services: dict[str, Any]) -> None:
    secrets = {
        f"{name}.{variable}": value
        for name, service in services.items()
        for variable, value in service["environment"].items()
        if SECRET.search(variable)
    }
    assert len(secrets) == 8
    for place, value in secrets.items():
        assert re.fullmatch(r"\$\{[A-Z0-9_]+:\?[^}]+\}", value), f"{place} is {value}"
    words = " ".join(str(word) for service in services.values() for word in service.get("command", []))
    assert not re.search(r"\$\{[^}]*(PASSWORD|SECRET|KEY)", words), "everybody sees the command line of a process"


def test_the_example_names_every_variable_and_gives_no_password(compose: dict[str, Any]) -> None:
    asked = set(re.findall(r"\$\{([A-Z0-9_]+)", json.dumps(compose)))
    lines = [line for line in (FOLDER / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    assert set(example) == asked
    assert all(value == "" for variable, value in example.items() if SECRET.search(variable))


def test_services_are_reached_from_this_machine_alone(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:5000:5000", "127.0.0.1:8333:8333"]


def test_the_server_answers_only_to_its_own_names_and_passes_artifacts_on(services: dict[str, Any]) -> None:
    command = services["mlflow"]["command"]
    options = dict(word.removeprefix("--").split("=", 1) for word in command[2:])
    assert {"localhost:5000", "127.0.0.1:5000", "mlflow:5000"} <= set(options["allowed-hosts"].split(","))
    assert options["artifacts-destination"] == "s3://mlflow"
    assert options["backend-store-uri"].endswith("@database/mlflow")
    assert not any("disable-security" in word for word in command)


def test_a_service_waits_for_those_it_needs_to_be_healthy(services: dict[str, Any]) -> None:
    lasting = {name for name, service in services.items() if "restart" in service}
    assert lasting == {"mlflow", "database", "store"}
    for name, service in services.items():
        assert ("healthcheck" in service) == (name in lasting)
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_healthy" if needed in lasting else "service_completed_successfully"
            assert how == {"condition": expected}, f"{name} needs {needed}"


def test_what_must_last_lies_in_named_volumes(compose: dict[str, Any]) -> None:
    mounted = {v.split(":")[0] for service in compose["services"].values() for v in service.get("volumes", [])}
    assert mounted == set(compose["volumes"])


def test_images_have_versions_and_ours_is_that_of_the_project(services: dict[str, Any], image: str) -> None:
    images = {name: service["image"] for name, service in services.items()}
    assert images["mlflow"] == images["buckets"] == image
    assert all(re.search(r":\d+\.\d+", found) for found in images.values())
    build = services["mlflow"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).is_file()


def test_the_buckets_that_are_made_are_those_that_are_used(services: dict[str, Any]) -> None:
    program = services["buckets"]["command"][2]
    compile(program, "buckets", "exec")
    made = program.partition("in (")[2].partition(")")[0]
    assert made == '"mlflow", "checkpoints"'
    readme = (FOLDER.parent / "README.md").read_text()
    assert "--artifacts-destination=s3://mlflow" in services["mlflow"]["command"]
    assert "remote: s3://checkpoints" in readme
