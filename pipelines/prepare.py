"""The stage ``prepare``: raw pictures of one data set -> ``data/shards/<name>/``."""

from pathlib import Path

from pipelines.stage import run_stage
from wavemix.config import Params
from wavemix.data import SOURCES, write_shards
from wavemix.launch.progress import counted


def prepare(params: Params, name: str) -> None:
    data = params.data[name]
    options = data.source.model_dump(exclude={"name"})
    raw = SOURCES[data.source.name](**options)
    total = sum(len(items) for items in raw.items.values())
    with counted(f"prepare {name}", total, "samples") as progress:
        write_shards(
            raw,
            Path(params.storage.shards) / name,
            name=name,
            source=data.source.model_dump(mode="json"),
            samples_per_shard=data.samples_per_shard,
            progress=progress,
        )


if __name__ == "__main__":
    run_stage(prepare, of="data")
