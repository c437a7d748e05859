"""Stages as jobs of a real Ray head with its job server: what is sent, what comes back, and what is said meanwhile."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from wavemix.config import Params, load_params, to_yaml
from wavemix.launch.experiment import train_experiment
from wavemix.launch.jobs.ray_job import submit

MakeParams = Callable[..., Params]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent


def free_port() -> int:
    """Below those that Ray gives its workers, which begin at 10002."""
    while True:
        port = 2000 + secrets.randbelow(8000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a job server on this machine, and the token that it wants."""
    private = tmp_path_factory.mktemp("head")
    token = private / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    sockets = Path(f"/tmp/wavemix-{secrets.token_hex(4)}")  # the paths of sockets must be short
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = f"{BIN}/ray start --head --block --port {free_port()} --num-cpus 3 --temp-dir {sockets} "
    command += f"--include-dashboard=true --dashboard-host 127.0.0.1 --dashboard-port {port} --disable-usage-stats "
    command += "--object-store-memory 100000000"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    env = {**kept, "PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "token"}
    env["RAY_prestart_worker_first_driver"] = "0"  # idle processes
    with (private / "log").open("wb") as log:
        process = subprocess.Popen(
            command.split(),
            env={**env, "RAY_AUTH_TOKEN_PATH": str(token)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: answers(address) or process.poll() is not None, "the job server does not answer")
        assert process.poll() is None, (private / "log").read_text()
        yield address, token
    finally:
        for below in psutil.Process(process.pid).children(recursive=True):  # jobs too, which have groups of their own
            with contextlib.suppress(psutil.NoSuchProcess):
                below.kill()
        process.kill()
        process.wait()
        shutil.rmtree(sockets, ignore_errors=True)


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/api/version", timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == 401  # it wants its token
    except OSError:
        return False
    return True


def wait_until(happened: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + 150
    while not happened():
        assert time.monotonic() < until, otherwise
        time.sleep(0.3)


@dataclass(frozen=True)
class Project:
    """A folder with a params.yaml, whose shards and runs every node shares; its results are this machine's."""

    folder: Path
    address: str
    token: Path
    started: list[subprocess.Popen[str]]

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A process of its own for each caller: Ray reads its token once in a process."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}
        env["RAY_ADDRESS"] = "127.0.0.1:9"  # another cluster, of which launch.jobs says nothing
        command = (sys.executable, "-m", *command)
        # A shell that starts tests in the background has it ignored, which a process inherits.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.started.append(subprocess.Popen(command, cwd=self.folder, env=env, stderr=PIPE, text=True))
        return self.started[-1]

    def run(self, *command: str) -> tuple[int, str]:
        """Exit code, and what it said."""
        return ended(self.start(*command))

    def jobs(self) -> dict[str, str]:
        """Ids and states of the jobs that were sent from this folder."""
        token = self.token.read_text()
        request = urllib.request.Request(f"{self.address}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            jobs = json.load(answer)
        return {job["submission_id"]: job["status"] for job in jobs if str(self.folder) in job["entrypoint"]}


def ended(caller: subprocess.Popen[str]) -> tuple[int, str]:
    told = caller.communicate(timeout=200)[1]
    return caller.returncode, told


def read_until(caller: subprocess.Popen[str], text: str) -> str:
    assert caller.stderr is not None
    told = ""
    while text not in told:
        told += (line := caller.stderr.readline())
        assert line, told
    return told


@pytest.fixture
def project(head: tuple[str, Path], params_of: MakeParams, tmp_path: Path) -> Iterator[Callable[[int], Project]]:
    """Makes the project, with an experiment of so many epochs."""
    started: list[subprocess.Popen[str]] = []

    def make(num_epochs: int) -> Project:
        phase = {"optimizer": "adamw", "num_epochs": num_epochs, "lr": 0.01}
        tree = params_of(phases=[phase]).model_dump(mode="json")
        digits = {"name": "digits", "val_fraction": 0.1, "test_fraction": 0.1, "seed": 0}
        tree["data"]["shades"] = {"source": digits, "samples_per_shard": 10}
        tree["storage"]["results"] = "results"
        tree["launch"].update(launcher="ray", jobs=head[0])
        (tmp_path / "runs").mkdir()
        (tmp_path / "params.yaml").write_bytes(to_yaml(tree))
        return Project(tmp_path, *head, started)

    yield make
    for process in started:  # of a test that failed
        with process:
            process.kill()


class Line:
    """A line between a caller and the job server, which can be cut."""

    def __init__(self, address: str) -> None:
        self._to = ("127.0.0.1", int(address.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                ends = self._listener.accept()[0], socket.create_connection(self._to)
            except OSError:
                return
            self._open += ends
            for one, other in (ends, ends[::-1]):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def cut(self) -> None:
        while self._open:
            self._open.pop().close()

    def close(self) -> None:
        self._listener.close()
        self.cut()


def test_callers_at_once_have_one_job_that_outlives_them_and_a_cut_line_and_ends_when_it_is_told_to(
    project: Callable[[int], Project],
) -> None:
    here = project(100_000)
    submit_train = ["wavemix.cli", "--set", "launch.launcher=local", "submit", "train", "shades"]
    line = Line(here.address)
    one, other = here.start(*submit_train), here.start(*submit_train, "--address", line.address)
    read_until(one, "following the job")
    one.send_signal(signal.SIGINT)
    code, told = ended(one)
    assert code == 130, told
    assert "`wavemix submit --stop train shades` stops it" in told

    told = read_until(other, "Running entrypoint")
    line.cut()
    told += read_until(other, "shades: ")
    code, said = here.run(*submit_train, "--stop")
    assert code == 0, said
    code, rest = ended(other)
    line.close()
    assert code == 143, told + rest
    assert (told + rest).count("Running entrypoint") == 1
    assert list(here.jobs().values()) == ["STOPPED"]


def test_a_job_brings_back_what_the_stage_would_have_written_here_and_is_not_done_twice(
    project: Callable[[int], Project], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = project(2)
    code, told = here.run("pipelines.train", "shades")
    assert code == 0, told
    there = content(tmp_path / "results")
    assert set(there) == {
        f"experiments/shades/train/{name}" for name in ("model.safetensors", "model.json", "curves.csv")
    }

    shutil.rmtree(tmp_path / "results")
    results = f"storage.results={tmp_path}/results"
    params = load_params(tmp_path / "params.yaml", [results])
    assert submit(params, "train", "shades", address="http://127.0.0.1:9") == 0  # nobody has to be asked
    assert "was done before" in capsys.readouterr().err
    assert content(tmp_path / "results") == there

    elsewhere = [f"storage.{name}={tmp_path}/local/{name}" for name in ("runs", "results")]
    params = load_params(tmp_path / "params.yaml", ["launch.launcher=local", *elsewhere])
    train_experiment(params, "shades")
    assert content(tmp_path / "local/results") == there


def test_a_failed_stage_gives_its_code_and_is_sent_again(project: Callable[[int], Project], tmp_path: Path) -> None:
    here = project(2)
    results = f"storage.results={tmp_path}/results"
    train_experiment(load_params(tmp_path / "params.yaml", ["launch.launcher=local", results]), "shades")
    (tar,) = (tmp_path / "shards/shades").glob("val*.tar")
    whole = tar.read_bytes()
    tar.write_bytes(whole[:-1])

    code, told = here.run("pipelines.evaluate", "shades")
    assert code == 1, told
    assert f"error: {tar}" in told
    assert list(here.jobs().values()) == ["FAILED"]

    tar.write_bytes(whole)
    code, told = here.run("pipelines.evaluate", "shades")
    assert code == 0, told
    assert sorted(here.jobs().values()) == ["FAILED", "SUCCEEDED"]
    assert json.loads((tmp_path / "results/experiments/shades/evaluation/metrics.json").read_text())["num_samples"] == 8


def test_a_cluster_of_another_version_or_with_another_token_is_said(project: Callable[[int], Project]) -> None:
    here = project(2)
    older = "import ray; ray.__version__ = '2.59.0'; import wavemix.cli; wavemix.cli.main()"
    (here.folder / "older.py").write_text(older)
    stranger = replace(here, token=here.folder / "token")
    stranger.token.touch(mode=0o600)
    stranger.token.write_text(secrets.token_hex(32))
    command = ["submit", "train", "shades"]
    callers = [here.start("older", *command), stranger.start("wavemix.cli", *command)]
    (code, of_version), (code_, of_token) = map(ended, callers)
    assert (code, code_) == (1, 1)
    assert of_version.endswith("has Ray 2.60.0, and 2.59.0 is needed\n")
    assert "did not take our token; set RAY_AUTH_MODE=token" in of_token
    assert here.jobs() == {}


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
