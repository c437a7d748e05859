"""The image: what goes into it, and as whom it runs. No Docker runs here; see infra/README.md."""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile with its argument, continued lines joined, comments left out."""
    lines = (ROOT / "infra/docker/Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#")).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def arguments(instructions: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for found, rest in instructions if found == word]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets the builder see it: everything is left out but what an exception names."""
    first, *others = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert first == "*"
    return any(fnmatch(path, rule.removeprefix("!")) for rule in others if rule.startswith("!"))


def test_everything_that_is_copied_or_mounted_exists_and_reaches_the_builder(
    instructions: list[tuple[str, str]],
) -> None:
    copied = [source for rest in arguments(instructions, "COPY") for source in rest.split()[:-1]]
    mounted = re.findall(r"type=bind,source=([^,]+),", " ".join(arguments(instructions, "RUN")))
    assert {"wavemix", "pipelines", "pyproject.toml"} <= set(copied)
    assert "constraints.txt" in mounted
    for path in copied + mounted:
        assert (ROOT / path).exists(), path
        assert in_context(path), f"{path} is left out by .dockerignore"


def test_data_results_and_secrets_never_reach_the_builder() -> None:
    assert not any(
        in_context(path) for path in ("data", "runs", "results", ".git", ".venv", "infra/compose/.env", ".env")
    )


def test_packages_are_pinned_and_lie_below_the_code(instructions: list[tuple[str, str]]) -> None:
    runs = [index for index, (word, rest) in enumerate(instructions) if word == "RUN" and "uv pip install" in rest]
    assert len(runs) == 1
    install = instructions[runs[0]][1]
    assert install.count("--constraint /build/constraints.txt") == 2, "of pip, which installs uv, and of uv"
    assert "--extra pipeline" in install
    assert all(index > runs[0] for index, (word, _) in enumerate(instructions) if word == "COPY")


def test_the_build_argument_is_a_backend_that_the_pinned_uv_knows() -> None:
    known = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--help"], capture_output=True, text=True, check=True
    ).stdout
    known = " ".join(known.split())  # its lines break anywhere
    values = known.partition("--torch-backend <")[2].partition("possible values:")[2].partition("]")[0]
    backends = {value.strip() for value in values.split(",")}
    told = re.findall(r"TORCH_BACKEND=(\w+)", (ROOT / "infra/docker/Dockerfile").read_text())
    assert {"cpu", "cu130"} <= set(told) <= backends


def test_it_runs_as_a_user_of_its_own_with_a_home_and_a_folder_to_write_to(instructions: list[tuple[str, str]]) -> None:
    runs = " ".join(arguments(instructions, "RUN"))
    assert "useradd --create-home --uid 1000 wavemix" in runs
    assert arguments(instructions, "USER") == ["wavemix"]
    assert "HOME=/home/wavemix" in arguments(instructions, "ENV")[0]
    assert arguments(instructions, "WORKDIR") == ["/srv/wavemix"]
    assert "install --directory --owner=wavemix --group=wavemix /srv/wavemix" in runs


def test_it_leaves_the_command_to_those_who_start_it_and_holds_no_secret(instructions: list[tuple[str, str]]) -> None:
    assert not arguments(instructions, "ENTRYPOINT"), "KubeRay and `ray up` bring their own commands"
    for rest in arguments(instructions, "ENV") + arguments(instructions, "ARG"):
        assert not re.search(r"TOKEN|SECRET|PASSWORD|_KEY", rest)
