"""infra/README.md: it knows every file, its commands exist, and no file holds a secret."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from wavemix.config.places import Launch, Storage, Tracking

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
TARGETS = {
    "Container": "docker/Dockerfile",
    "Tracking server and object store": "compose/compose.yaml",
    "Kubernetes: one training": "kubernetes/rayjob.yaml",
    "Kubernetes: a cluster for many": "kubernetes/raycluster.yaml",
    "AWS": "ray/aws.yaml",
    "Google Cloud": "ray/gcp.yaml",
    "Slurm": "slurm/train.sbatch",
}


@pytest.fixture(scope="module")
def readme() -> str:
    return (INFRA / "README.md").read_text()


def commands_of(readme: str, section: str) -> list[str]:
    """Those of a section's last block; blocks before it are what is done once."""
    text = readme.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    block = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)[-1]
    return [line.partition(" # ")[0].strip() for line in block.splitlines()]


def files() -> list[Path]:
    return [path for path in INFRA.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc", ".md")]


@pytest.mark.parametrize(("section", "file"), TARGETS.items())
def test_a_target_is_used_by_three_commands_that_name_its_file(readme: str, section: str, file: str) -> None:
    commands = commands_of(readme, section)
    assert len(commands) == 3
    assert any(f"infra/{file}" in command for command in commands)


def test_every_file_is_told_of_and_there_is_every_file_it_tells_of(readme: str) -> None:
    for path in files():
        if path.name not in (".env", ".gitignore"):
            assert path.relative_to(INFRA).as_posix() in readme
    for named in re.findall(r"infra/[\w./-]+\.\w+", readme):
        assert (ROOT / named).exists() or named == "infra/compose/.env", named


def test_modules_and_parameters_that_it_names_exist(readme: str) -> None:
    text = readme + "".join(path.read_text() for path in files())
    modules = set(re.findall(r"python -m (pipelines[\w.]+)", text))
    assert modules == {"pipelines.prepare", "pipelines.train"}
    assert all(importlib.util.find_spec(module) for module in modules)
    for section, kind in (("launch", Launch), ("storage", Storage), ("tracking", Tracking)):
        named = set(re.findall(rf"`{section}\.(\w+)", text)) | set(re.findall(rf"--set {section}\.(\w+)", text))
        assert named <= set(kind.model_fields), section


def test_the_parameters_that_it_shows_are_valid(readme: str) -> None:
    shown = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", readme, flags=re.DOTALL)[0])
    assert set(shown) == {"launch", "tracking", "storage"}
    Launch.model_validate(shown["launch"])
    Tracking.model_validate(shown["tracking"])
    Storage.model_validate({"shards": "data/shards", "results": "results", "reports": "reports", **shown["storage"]})


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_a_file_holds_no_secret_and_no_path_of_one_machine(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"AKIA[0-9A-Z]{16}|-----BEGIN|ghp_\w{20}|[0-9a-f]{32}", text)
    assert not re.search(r"(?i)(password|secret|token)\w*\s*[:=]\s*['\"]?(?!\$)[\w+/]{16,}", text)
    assert not re.search(r"/Users/|/home/(?!wavemix)", text)


def test_git_keeps_the_passwords_out() -> None:
    asked = subprocess.run(["git", "check-ignore", "--quiet", "infra/compose/.env"], cwd=ROOT, check=False)
    assert asked.returncode in (0, 128), "infra/compose/.env is not ignored"  # 128: a plain copy without git
