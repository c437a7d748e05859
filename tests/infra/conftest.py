"""The files of infra/ as those who use them read them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]

Read = Callable[[str], list[Any]]


@pytest.fixture(scope="session")
def read() -> Read:
    """The documents of a YAML file below infra/."""
    return lambda path: list(yaml.safe_load_all((ROOT / "infra" / path).read_text()))


@pytest.fixture(scope="session")
def image() -> str:
    """The name and tag that every file must use: those of this project."""
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    name, version = (
        next(line.split('"')[1] for line in lines if line.startswith(key)) for key in ("name =", "version =")
    )
    return f"{name}:{version}"


@pytest.fixture(scope="session")
def ray_version() -> str:
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    return next(pin.removeprefix("ray==") for pin in pins if pin.startswith("ray=="))
