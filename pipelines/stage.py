"""What the stages share: their command line, and errors as a line instead of a traceback."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from wavemix.config import Params, load_params
from wavemix.errors import StoppedError, WaveMixError


def run_stage(what: Callable[[Params, str], None], *, of: str) -> None:
    """Parse ``NAME [--set path.to.leaf=value ...]``, check the whole of params.yaml, and call ``what(params, NAME)``.

    Where Ray is the launcher and ``launch.jobs`` names a cluster, what it can do is done there instead.

    Args:
        what: The stage's one call.
        of: The section of params.yaml that NAME must be in.
    """
    stage = Path(sys.argv[0]).stem
    parser = command_line(stage)
    parser.add_argument("name", metavar="NAME", help=f"a name in the section {of} of params.yaml")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        params = load_params(arguments.params, arguments.set)
        if arguments.name not in (known := getattr(params, of)):
            raise WaveMixError(f"{arguments.name!r} is not in the section {of} of params.yaml: {', '.join(known)}")
        if params.launch.jobs and params.launch.launcher == "ray" and stage in ("train", "tune", "evaluate"):
            from wavemix.launch.jobs.ray_job import submit  # noqa: PLC0415  (prepare needs no torch)

            sys.exit(submit(params, stage, arguments.name))
        what(params, arguments.name)
    except StoppedError as error:
        print(error, file=sys.stderr)
        sys.exit(143)  # as of a process that ends by the SIGTERM that asked for it
    except WaveMixError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; run it again to go on where it was")


def command_line(stage: str) -> argparse.ArgumentParser:
    """``[--params FILE] [--set path.to.leaf=value ...]``, which all stages take."""
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{stage}")
    parser.add_argument("--params", default="params.yaml", help="another file than params.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="change a leaf; @FILE: more")
    return parser
