"""What the stages share: their command line, and errors as a line instead of a traceback."""

import argparse
import logging
import sys
from collections.abc import Callable

from wavemix.config import Params, load_params
from wavemix.errors import WaveMixError


def run_stage(what: Callable[[Params, str], None], *, of: str) -> None:
    """Parse ``NAME [--set path.to.leaf=value ...]``, check the whole of params.yaml, and call ``what(params, NAME)``.

    Args:
        what: The stage's one call.
        of: The section of params.yaml that NAME must be in.
    """
    parser = command_line(what.__module__.rpartition(".")[2])
    parser.add_argument("name", metavar="NAME", help=f"a name in the section {of} of params.yaml")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        params = load_params(arguments.params, arguments.set)
        if arguments.name not in (known := getattr(params, of)):
            raise WaveMixError(f"{arguments.name!r} is not in the section {of} of params.yaml: {', '.join(known)}")
        what(params, arguments.name)
    except WaveMixError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; run it again to go on where it was")


def command_line(stage: str) -> argparse.ArgumentParser:
    """``[--params FILE] [--set path.to.leaf=value ...]``, which all stages take."""
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{stage}")
    parser.add_argument("--params", default="params.yaml", help="another file than params.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="change a leaf, as YAML")
    return parser
