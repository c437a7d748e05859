"""The command ``wavemix``: thin, like the stages; each command is one call."""

import argparse
import logging
import os
import sys
from pathlib import Path

from wavemix import experiments
from wavemix.config import Params, load_params
from wavemix.errors import WaveMixError
from wavemix.launch import shards
from wavemix.score import command


def main() -> None:
    arguments = _parser().parse_args()
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        _call(arguments)
    except WaveMixError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; run it again to go on where it was")
    except BrokenPipeError:  # as in `wavemix experiments | head`, which has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the last flush fails once more


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wavemix", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="another file than params.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="change a leaf; @FILE: more")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="validate params.yaml and the overrides")
    info = commands.add_parser(
        "info", help="list the networks of the papers: parameters, multiply-adds, scores, weights"
    )
    info.add_argument(
        "pattern", nargs="?", default="*", metavar="NAME", help="all about one, or a pattern like '*_seg'"
    )
    command.add_arguments(commands.add_parser("score", help="score any folder of pictures by a task's protocol"))
    listed = commands.add_parser("experiments", help="list experiments: what is printed beside what was measured")
    run = commands.add_parser("run", help="prepare, train and evaluate experiments, and write the report")
    for one in (listed, run):
        one.add_argument("names", nargs="*", metavar="NAME", help="in params.yaml, or a pattern: 'cifar10_*'")
        one.add_argument("--where", metavar="PLACE", help="only what a paper prints there: 'table 13', 'section 4.6'")
    submit = commands.add_parser("submit", help="have a stage done by a Ray cluster, as if it ran here")
    submit.add_argument("stage", metavar="STAGE", help="train, tune or evaluate")
    submit.add_argument("name", metavar="NAME", help="what the stage takes: an experiment or a sweep of params.yaml")
    submit.add_argument("--address", metavar="URL", help="of the cluster's job server, instead of launch.jobs")
    submit.add_argument("--stop", action="store_true", help="tell its job to write a checkpoint and end")
    sync = commands.add_parser("sync-tracking", help="send MLflow what it lacks of a run, if it was away meanwhile")
    sync.add_argument("run", metavar="RUN", help="a run's folder, an experiment or sweep, or how a run key begins")
    data = commands.add_parser("data", help="data sets of params.yaml: get, prepare, verify, repair, preview")
    actions = data.add_subparsers(dest="action", required=True)
    for action, what in {
        "get": "download the raw files, or say how to get them",
        "prepare": "raw files -> shards and manifest; goes on where it was interrupted",
        "verify": "read every shard and compare it with the manifest",
        "repair": "make the bad shards again from the raw files",
        "preview": "a contact sheet of some samples, as a PNG",
    }.items():
        one = actions.add_parser(action, help=what, description=what)
        one.add_argument("name", metavar="NAME", help="a name in the section data of params.yaml")
        if action == "preview":
            one.add_argument("--split", default="train", help="train, val or test")
            one.add_argument("--count", type=_count, default=40, help="how many samples, evenly spaced over the split")
            one.add_argument("--out", type=Path, help="the file; NAME-SPLIT.png if not given")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _call(arguments: argparse.Namespace) -> None:
    if arguments.command == "info":
        from wavemix.info import describe  # noqa: PLC0415  (it loads torch, which data needs not)

        try:
            for line in describe(arguments.pattern):
                print(line)
        except ValueError as error:
            raise WaveMixError(str(error)) from None
        return
    if arguments.command == "score":
        command.run(arguments)
        return
    params = load_params(arguments.params, arguments.set)
    if arguments.command == "check":
        print(f"{arguments.params}: {len(params.experiments)} experiments, {len(params.data)} data sets, all valid")
        return
    if arguments.command in ("experiments", "run"):
        _experiments(params, arguments)
        return
    if arguments.command == "submit":
        from wavemix.launch.jobs import ray_job  # noqa: PLC0415  (it loads torch too)

        act = ray_job.stop if arguments.stop else ray_job.submit
        sys.exit(act(params, arguments.stage, arguments.name, address=arguments.address))
    if arguments.command == "sync-tracking":
        from wavemix.launch.resync import sync_tracking  # noqa: PLC0415  (it loads torch too)

        for line in sync_tracking(params, arguments.run):
            print(line)
        return
    name = arguments.name
    if name not in params.data:
        raise WaveMixError(f"{name!r} is not in the section data of {arguments.params}: {', '.join(params.data)}")
    if arguments.action == "preview":
        out = arguments.out or Path(f"{name}-{arguments.split}.png")
        shards.preview(params, name, split=arguments.split, count=arguments.count, out=out)
    else:
        actions = {"get": shards.get, "prepare": shards.prepare, "verify": shards.verify, "repair": shards.repair}
        actions[arguments.action](params, name)


def _experiments(params: Params, arguments: argparse.Namespace) -> None:
    if arguments.command == "run" and not arguments.names and not arguments.where:
        raise WaveMixError("run: name experiments, or a place in a paper by --where; `wavemix experiments` lists them")
    names = experiments.selected(params, arguments.names, where=arguments.where)
    if arguments.command == "experiments":
        for line in experiments.listing(params, names):
            print(line)
        return
    changes = [word for change in arguments.set for word in ("--set", change)]
    if code := experiments.run(params, names, options=["--params", arguments.params, *changes]):
        sys.exit(code)


if __name__ == "__main__":
    main()
