"""What a cluster consists of: Ray's nodes, and an MLflow server with PostgreSQL behind it, each on a host.

It knows commands, ports and when something is up, and nothing of what is trained.
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.hosts import Host

Environment = Mapping[str, str]

BIN = Path(sys.executable).parent
RAY_PORT = 6399  # outside of 10002 to 19999, where Ray's workers listen
MLFLOW_PORT = 5000

QUICK_TO_NOTICE = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "5",
}
"""A host that is silent for some 15 seconds counts as lost; Ray's own values come to about a minute."""


class ClusterError(Exception):
    """Something did not start or did not go on; with the end of its log."""


def environment(scratch: Path) -> Environment:
    """For every process of the cluster: one token for all, no telemetry, and of this shell's settings neither those of
    other clusters nor proxies, which know nothing of these hosts."""
    token = scratch / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    kept = {name: value for name, value in os.environ.items() if not re.match(r"RAY_|MLFLOW_|.*_proxy$", name, re.I)}
    return {
        **kept,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_prestart_worker_first_driver": "0",  # idle processes, which take their time from the others here
        "RAY_agent_register_timeout_ms": "120000",  # a busy machine takes longer than Ray's 30 s to start an agent
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **QUICK_TO_NOTICE,
    }


def start_head(host: Host, scratch: Path, env: Environment) -> None:
    _keep(host, scratch, env, "--head", f"--port={RAY_PORT}", "--include-dashboard=false")


def start_worker(host: Host, head: Host, scratch: Path, env: Environment) -> None:
    _keep(host, scratch, env, f"--address={head.address}:{RAY_PORT}")


def _keep(host: Host, scratch: Path, env: Environment, *role: str) -> None:
    """Start a node, and start it again whenever it ends, as a service manager would: on a busy machine Ray gives up
    starting after half a minute, and a node ends by itself once it learns that the head has given it up.
    """
    host.start(
        *("sh", "-c", 'while true; do "$@"; sleep 1; done', "keeper"),
        *("ray", "start", *role, "--block", f"--node-ip-address={host.address}"),
        *("--num-cpus=1", "--object-store-memory=100000000"),  # one CPU each: two workers need both hosts
        f"--temp-dir={scratch / host.name}",
        log=_log_of(host, scratch),
        env=env,
    )


def wait_for_node(host: Host, scratch: Path) -> None:
    """Wait until the node has started for the first time."""
    log = _log_of(host, scratch)
    wait_until(f"Ray on host {host.name}", lambda: "Ray runtime started" in log.read_text(), seconds=600, log=log)


def _log_of(host: Host, scratch: Path) -> Path:
    return scratch / f"ray-{host.name}.log"


def num_nodes(head: Host, env: Environment) -> int:
    """How many nodes the head counts as alive."""
    asked = subprocess.run(
        head.command("ray", "status", f"--address={head.address}:{RAY_PORT}"),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    active = asked.stdout.partition("Active:")[2].partition("Pending:")[0]
    return active.count("node_")


@contextmanager
def tracking_server(host: Host, scratch: Path, env: Environment) -> Iterator[str]:
    """An MLflow server with PostgreSQL behind it; gives its address. It listens on the host's address alone, and
    PostgreSQL on a Unix socket in a folder that only its user may enter."""
    uri = f"http://{host.address}:{MLFLOW_PORT}"
    log = scratch / "mlflow.log"
    asked = host.command("python", "-c", f"import urllib.request as r; r.urlopen('{uri}/health', timeout=5)")
    with _database(host, scratch / "postgres", env) as database:
        host.start(
            *("mlflow", "server", f"--host={host.address}", f"--port={MLFLOW_PORT}", "--workers=1"),
            *(f"--backend-store-uri={database}", f"--artifacts-destination={scratch / 'artifacts'}"),
            f"--allowed-hosts={host.address}:{MLFLOW_PORT}",
            log=log,
            env={**env, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
        wait_until("the MLflow server", lambda: _succeeds(asked, env), seconds=300, log=log)
        yield uri


@contextmanager
def _database(host: Host, folder: Path, env: Environment) -> Iterator[str]:
    binaries, log = postgres_binaries(), folder.parent / "postgres.log"
    assert binaries is not None
    folder.mkdir(mode=0o700)
    as_user: list[str] = []
    if os.geteuid() == 0:  # as which PostgreSQL does not run
        shutil.chown(folder, "postgres")
        folder.parent.chmod(0o711)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    made = [str(binaries / "initdb"), f"--pgdata={folder / 'data'}", "--username=wavemix", "--auth=trust", "--no-sync"]
    subprocess.run([*as_user, *made], env=env, cwd=folder, check=True, capture_output=True)
    server = host.start(
        *(*as_user, str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder)),
        *("-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"),
        log=log,
        env=env,
        cwd=folder,
    )
    named = [*as_user, str(binaries / "createdb"), f"--host={folder}", "--username=wavemix", "mlflow"]
    wait_until("PostgreSQL", lambda: _succeeds(named, env, cwd=folder), seconds=60, log=log)
    try:
        yield f"postgresql+psycopg2://wavemix@/mlflow?host={folder}"
    finally:
        server.send_signal(signal.SIGQUIT)  # its processes end with it
        server.wait()


def _succeeds(words: Sequence[str], env: Environment, cwd: Path | None = None) -> bool:
    return subprocess.run(words, env=env, cwd=cwd, check=False, capture_output=True).returncode == 0


def postgres_binaries() -> Path | None:
    """The folder of the newest PostgreSQL of this machine: Debian keeps them out of the PATH."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(on_path).resolve().parent if on_path else folders[-1].parent if folders else None


def wait_until(what: str, happened: Callable[[], bool], *, seconds: float, log: Path) -> None:
    """Ask every second.

    Raises:
        ClusterError: It has not happened after so many seconds.
    """
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            raise ClusterError(f"{what} did not come within {seconds:.0f} s\n{end_of(log)}")
        time.sleep(1)


def end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-20:])
