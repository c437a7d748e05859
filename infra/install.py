"""Fill this interpreter's environment with the project and its pinned dependencies.

Uses uv, which takes seconds where pip takes minutes, and falls back to pip. uv does not read pip's configuration,
so where this machine tells pip to look (index, extra indexes, find-links) is handed over. Standard library only.

    python infra/install.py              install (into the environment of this interpreter)
    python infra/install.py --lock       resolve anew and rewrite constraints.txt
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def pip_setting(name: str) -> list[str]:
    """What pip would use for ``--<name>`` here: its environment variable, else its configuration files."""
    from_environment = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if from_environment:
        return from_environment.split()
    for section in ("install", "global"):
        asked = subprocess.run(
            [*PIP, "config", "get", f"{section}.{name}"], capture_output=True, text=True, check=False
        )
        if asked.returncode == 0:
            return asked.stdout.split()
    return []


def places_to_look() -> list[str]:
    flags = [("index-url", "--index-url"), ("extra-index-url", "--extra-index-url"), ("find-links", "--find-links")]
    found = [part for name, flag in flags for place in pip_setting(name) for part in (flag, place)]
    # With several indexes, choose the best version among all of them, as pip does.
    return [*found, "--index-strategy", "unsafe-best-match"]


def uv(*arguments: str) -> bool:
    certificates = pip_setting("cert")  # of a proxy that this machine trusts
    environment = {"SSL_CERT_FILE": certificates[0], **os.environ} if certificates else None
    run = subprocess.run(
        [sys.executable, "-m", "uv", "pip", *arguments, *places_to_look()], cwd=ROOT, env=environment, check=False
    )
    return run.returncode == 0


def has_uv() -> bool:
    if subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True, check=False).returncode == 0:
        return True
    pinned = ["-c", str(CONSTRAINTS)] if CONSTRAINTS.exists() else []
    return subprocess.run([*PIP, "install", "-q", "uv", *pinned], check=False).returncode == 0


def install() -> int:
    wanted = ["-c", str(CONSTRAINTS), "-e", ".[dev]"]
    print("installing the pinned dependencies into this environment", flush=True)
    quiet = [] if sys.stderr.isatty() else ["--quiet"]  # on a terminal uv shows how far it is
    if has_uv() and uv("install", *quiet, "--compile-bytecode", "--python", sys.executable, *wanted):
        return 0
    print("uv could not install; trying pip, which takes about five minutes", file=sys.stderr)
    return subprocess.run([*PIP, "install", *wanted], cwd=ROOT, check=False).returncode


def lock() -> int:
    target = ["--output-file", CONSTRAINTS.name, "--python-version", "3.11", "--extra", "dev"]
    style = ["--upgrade", "--quiet", "--no-header", "--no-emit-find-links", "--no-emit-index-url", "--no-annotate"]
    if not (has_uv() and uv("compile", "pyproject.toml", *target, *style)):
        return 1
    # "+cpu" is what this machine offers; a machine with a GPU must be free to take its own build of that version.
    pins = re.sub(r"(?m)^(torch==[0-9.]+)\+\S+$", r"\1", CONSTRAINTS.read_text())
    CONSTRAINTS.write_text(
        "# The one set of versions that the project is tested with. Refresh it with `make lock`.\n" + pins
    )
    return 0


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036  (an older one runs this file up to here, to be told)
        sys.exit(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: run `make PYTHON=python3.11 setup`"
        )
    sys.exit(lock() if "--lock" in sys.argv else install())
