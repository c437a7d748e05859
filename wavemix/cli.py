"""The command ``wavemix``: thin, like the stages; each command is one call."""

import argparse
import sys
from pathlib import Path

from wavemix.config import load_params
from wavemix.data import read_manifest, verify_shards
from wavemix.errors import DataError, WaveMixError
from wavemix.info import describe
from wavemix.launch.progress import counted


def main() -> None:
    parser = argparse.ArgumentParser(prog="wavemix", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="another file than params.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="change a leaf, as YAML")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="validate params.yaml and the overrides")
    verify = commands.add_parser("verify", help="read every shard of a data set and compare it with its manifest")
    verify.add_argument("name", help="a name in the section data of params.yaml")
    info = commands.add_parser(
        "info", help="list the networks of the papers: parameters, multiply-adds, scores, weights"
    )
    info.add_argument(
        "pattern", nargs="?", default="*", metavar="NAME", help="all about one, or a pattern like '*_seg'"
    )
    arguments = parser.parse_args()
    try:
        if arguments.command == "info":
            _info(arguments.pattern)
            return
        params = load_params(arguments.params, arguments.set)
        if arguments.command == "verify":
            _verify(Path(params.storage.shards) / arguments.name)
        else:
            print(f"{arguments.params}: {len(params.experiments)} experiments, {len(params.data)} data sets, all valid")
    except WaveMixError as error:
        sys.exit(f"error: {error}")


def _info(pattern: str) -> None:
    try:
        for line in describe(pattern):
            print(line)
    except ValueError as error:
        sys.exit(f"error: {error}")


def _verify(folder: Path) -> None:
    manifest = read_manifest(folder)
    total = sum(manifest.num_samples(split) for split in manifest.splits)
    with counted(f"verify {folder.name}", total, "samples") as progress:
        bad = verify_shards(manifest, progress)
    if bad:
        raise DataError("\n".join([*bad[:2], f"{len(bad)} bad files in {folder}; prepare the data again"]))


if __name__ == "__main__":
    main()
