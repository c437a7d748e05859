"""Two hosts on this machine: two network namespaces joined by a cable that can be cut and mended.

It knows addresses and processes, and nothing of what runs on a host.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SCRATCH = Path("/tmp")
NAMESPACES = Path("/run/netns")
"""Where the command ip keeps them."""

CABLE = "wmx0"
"""The name of the network interface, on either host."""


@dataclass(frozen=True)
class Host:
    """A place for processes. Without a ``namespace`` it is this machine itself, under an address of its own."""

    name: str
    address: str
    namespace: str | None
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def command(self, *words: str) -> list[str]:
        """The command that runs ``words`` on this host."""
        return ["ip", "netns", "exec", self.namespace, *words] if self.namespace else list(words)

    def start(self, *words: str, log: Path, env: Mapping[str, str], cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own: a Ctrl-C is for whoever looks after the host, not for it."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command(*words), env=env, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.started.append(process)
        return process

    def kill(self) -> int:
        """SIGKILL to every process of this host, as when it loses power; returns how many there were."""
        killed = set[int]()
        while pids := self._pids():  # again: one may have been starting another
            _kill(pids)
            for process in self.started:
                process.wait()
            killed |= pids
        self.started.clear()
        return len(killed)

    def _pids(self) -> set[int]:
        alive = [process.pid for process in self.started if process.poll() is None]
        if self.namespace:
            return {*alive, *_pids_in(self.namespace)}
        return {*alive, *(below.pid for pid in alive for below in psutil.Process(pid).children(recursive=True))}


def why_no_namespaces() -> str | None:
    """None where namespaces can be made, else the reason in a few words."""
    if shutil.which("ip") is None:
        return "there is no command ip (package iproute2)"
    if os.geteuid() != 0:
        return "only root may make them"
    probe = f"wmx-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        return made.stderr.strip().splitlines()[-1]
    _ip("netns", "delete", probe)
    return None


@contextmanager
def two_hosts(*, namespaces: bool) -> Iterator[tuple[Host, Host]]:
    """Two hosts that reach each other; all that runs on them is killed when the block ends.

    Args:
        namespaces: Else both are this machine, and there is no cable to cut.
    """
    if not namespaces:
        hosts = tuple(Host(name, f"127.0.0.{number}", None) for number, name in enumerate("ab", start=2))
    else:
        hosts = tuple(
            Host(name, f"10.213.7.{number}", f"wmx-{name}-{os.getpid()}") for number, name in enumerate("ab", start=1)
        )
    a, b = hosts
    try:
        if a.namespace and b.namespace:
            _ip("netns", "add", a.namespace)
            _ip("netns", "add", b.namespace)
            _ip("link", "add", CABLE, "netns", a.namespace, "type", "veth", "peer", "name", CABLE, "netns", b.namespace)
            for host in hosts:
                _ip("-n", str(host.namespace), "address", "add", f"{host.address}/24", "dev", CABLE)
                _ip("-n", str(host.namespace), "link", "set", "lo", "up")
                mend(host)
        yield a, b
    finally:
        for host in hosts:
            host.kill()
            if host.namespace:
                _delete(host.namespace)


def cut(host: Host) -> None:
    """Take the host off the network; its processes live on."""
    _ip("-n", str(host.namespace), "link", "set", CABLE, "down")


def mend(host: Host) -> None:
    _ip("-n", str(host.namespace), "link", "set", CABLE, "up")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this run, gone afterwards. Its path is short: Ray puts Unix sockets below it, whose paths may have
    107 characters."""
    folder = SCRATCH / f"wmx-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a process that was just killed may still be closing files


def leftovers() -> list[int]:
    """Runs (by process id) that were killed before they could clean up."""
    names = [path.name for folder in (NAMESPACES, SCRATCH) for path in folder.glob("wmx-*")]
    runs = {int(found[1]) for name in names if (found := re.fullmatch(r"wmx-(?:[ab]-)?(\d+)", name))}
    return sorted(run for run in runs if not psutil.pid_exists(run))


def remove(run: int) -> None:
    """Kill and remove what a run has left."""
    folder = SCRATCH / f"wmx-{run}"
    namespaces = [name for name in (f"wmx-a-{run}", f"wmx-b-{run}") if (NAMESPACES / name).exists()]
    _kill({*_pids_that_name(folder), *(pid for namespace in namespaces for pid in _pids_in(namespace))})
    for namespace in namespaces:
        _delete(namespace)
    shutil.rmtree(folder, ignore_errors=True)


def _pids_in(namespace: str) -> list[int]:
    listed = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in listed.split()]


def _pids_that_name(folder: Path) -> Iterator[int]:
    """Processes on this machine's own network that were started for a run: their environment says so."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(value.startswith(f"{folder}/") for value in process.environ().values()):
                yield process.pid


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _delete(namespace: str) -> None:
    subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
