"""A data set of params.yaml: from its raw files to its shards, and what is done with these afterwards.

It knows the configuration, where everything lies and who does the work; the work itself is ``wavemix.data``'s.
"""

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from wavemix import data
from wavemix.config import Params
from wavemix.data.catalogue import BY_HAND, DOWNLOADS
from wavemix.data.decode import encode_png
from wavemix.data.download import download
from wavemix.data.prepare import Workers
from wavemix.data.preview import contact_sheet
from wavemix.data.raw.archives import RawFolder
from wavemix.data.reader import ShardReader
from wavemix.data.schema import SCHEMAS
from wavemix.errors import DataError
from wavemix.files import write_aside
from wavemix.launch.progress import counted, downloading, so_far
from wavemix.launch.ray_map import on_ray
from wavemix.processes import in_processes

SAMPLES_FOR_A_PROCESS = 2_000
"""It takes two seconds to start one: fewer samples are not worth it."""


def prepare(params: Params, name: str) -> None:
    """Write the shards of a data set, or go on where it was interrupted."""
    plan = _plan(params, name)
    with counted(f"prepare {name}", plan.num_samples, "images") as progress:
        manifest = data.write_shards(
            plan,
            _folder(params, name),
            max_rejected=params.data[name].max_rejected,
            workers=_workers(params, plan.num_samples),
            progress=progress,
        )
    shutil.rmtree(_scratch(params, name), ignore_errors=True)
    for one in manifest.rejected[:3]:
        print(f"rejected: {one.split}/{one.key}: {one.reason}", file=sys.stderr)
    if len(manifest.rejected) > 3:
        print(f"rejected: {len(manifest.rejected)} in all, see {manifest.folder / 'manifest.json'}", file=sys.stderr)


def verify(params: Params, name: str) -> None:
    """Raises DataError that names the bad shards."""
    bad = _bad_shards(params, name, manifest := data.read_manifest(_folder(params, name)))
    if bad:
        told = [one.reason for one in bad[:10]]
        raise DataError("\n".join([*told, f"{len(bad)} bad shards; `wavemix data repair {name}` makes them again"]))
    print(f"{name}: {len(list(manifest.all_shards()))} shards, all as they were written")


def repair(params: Params, name: str) -> None:
    """Make the bad shards of a data set again from its raw files, and those alone."""
    manifest = data.read_manifest(_folder(params, name))
    if not (bad := _bad_shards(params, name, manifest)):
        print(f"{name}: nothing to repair")
        return
    samples = {shard.name: shard.samples for shard in manifest.all_shards()}
    total = sum(samples[one.shard] for one in bad)
    plan = _plan(params, name)
    with counted(f"repair {name}", total, "images") as progress:
        data.repair_shards(manifest, plan, bad, workers=_workers(params, total), progress=progress)
    shutil.rmtree(_scratch(params, name), ignore_errors=True)
    print(f"{name}: made again: {', '.join(one.shard for one in bad)}")


def get(params: Params, name: str) -> None:
    """Download the raw files of a data set, or say what a person has to do for them."""
    source = params.data[name].source
    if not hasattr(source, "root"):
        print(f"{name}: nothing to download, a library brings it")
        return
    published: list[str] = [source.name]
    if getattr(source, "size", "") == "large":
        published = [f"{source.name}_large"]
    if getattr(source, "extra", False):
        published.append(f"{source.name}_extra")
    for one in published:
        if one in DOWNLOADS:
            hosts = sorted({urlsplit(remote.url).netloc for remote in DOWNLOADS[one].files})
            print(f"{DOWNLOADS[one].terms}\n{one}: from {', '.join(hosts)} to {source.root}", flush=True)
        with downloading() as told:
            download(one, Path(source.root), told=told)
    print(f"{name}: all there, in {source.root}; next: wavemix data prepare {name}")


def preview(params: Params, name: str, *, split: str, count: int, out: Path) -> None:
    """Write a contact sheet of some samples, evenly spaced over a split."""
    manifest = data.read_manifest(_folder(params, name))
    reader = ShardReader(manifest, split)
    total = len(reader)
    count = min(count, total)
    numbers = [index * total // count for index in range(count)]
    decode = SCHEMAS[manifest.schema].decode
    samples = [decode(record) for record in reader.read(numbers)]
    write_aside(out, encode_png(contact_sheet(samples, manifest.classes)))
    print(f"{out}: {len(samples)} of {total} samples of {name}/{split}")


def _plan(params: Params, name: str) -> data.Plan:
    """Read the index of the raw files, and decide which sample goes where."""
    described, source = params.data[name], params.data[name].source
    options = source.model_dump()
    with so_far(f"prepare {name}") as told:
        if "root" in options:
            if not Path(options["root"]).is_dir() and source.name in {**DOWNLOADS, **BY_HAND}:
                raise DataError(
                    f"data {name}: there is no folder {options['root']}; "
                    f"`wavemix data get {name}` fetches the raw files, or says how to get them"
                )
            options["root"] = RawFolder(Path(options["root"]).absolute(), _scratch(params, name), told)
        raw = data.read_source(**options)
    return data.make_plan(
        raw,
        name=name,
        source=source.model_dump(mode="json", exclude={"root"}),
        subset=getattr(source, "subset", False),
        options=data.Options(**described.model_dump(exclude={"source", "max_rejected"})),
    )


def _bad_shards(params: Params, name: str, manifest: data.Manifest) -> list[data.Bad]:
    total = sum(shard.samples for shard in manifest.all_shards())
    with counted(f"verify {name}", total, "samples") as progress:
        return data.verify_shards(manifest, workers=_workers(params, total), progress=progress)


def _workers(params: Params, num_samples: int) -> Workers:
    """A Ray cluster where one is named, else processes of this machine."""
    address = params.launch.address or os.environ.get("RAY_ADDRESS")
    if address:
        return on_ray(address, num_cpus=1)
    most = params.launch.prepare_workers or os.cpu_count() or 1
    return in_processes(min(most, -(-num_samples // SAMPLES_FOR_A_PROCESS)))


def _folder(params: Params, name: str) -> Path:
    return Path(params.storage.shards).absolute() / name


def _scratch(params: Params, name: str) -> Path:
    return Path(params.storage.shards).absolute() / f".{name}.scratch"
