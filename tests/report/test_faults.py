"""The table of faults: sums and medians by hand, and a file that is missing or damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from wavemix.errors import DataError
from wavemix.report import write_report
from wavemix.report.faults import fault_table, read_faults

ROW = {
    "kind": "worker killed",
    "seed": 0,
    "step": 120,
    "by_itself": True,
    "recovered": True,
    "identical": True,
    "steps_redone": 4,
    "samples_lost": 0,
    "seconds": 20.5,
}


def written(path: Path, *rows: dict[str, Any]) -> Path:
    told = {"commit": "0123456789abcdef", "machine": {"cpu": "A processor", "cores": 2}, "rows": rows}
    path.write_text(json.dumps(told))
    return path


def test_a_kind_of_fault_is_a_row_over_its_seeds(tmp_path: Path) -> None:
    path = written(
        tmp_path / "faults.json",
        ROW,
        {**ROW, "seed": 1, "steps_redone": 8, "seconds": 30},
        {**ROW, "seed": 2, "steps_redone": 5, "seconds": 22.0, "identical": False, "samples_lost": 3},
        {**ROW, "seed": 3, "recovered": False, "identical": False, "steps_redone": 900, "seconds": 900.0},
        {**ROW, "kind": "SIGTERM", "by_itself": False, "steps_redone": 0},
        {**ROW, "kind": "gradient not finite", "identical": None},
    )
    faults = read_faults(path)
    assert faults is not None
    table = fault_table(faults)
    assert "at commit 0123456, on A processor, 2 cores" in table.caption
    killed, stopped, left_out = table.groups[""]
    assert [cell.text for cell in killed] == ["worker killed", "4", "3", "2", "3", "5", "22.0"]
    assert [cell.note for cell in killed] == ["by itself", "", "", "", "", "at most 8", "at most 30.0"]
    assert (stopped[0].text, stopped[0].note) == ("SIGTERM", "when run again")
    assert left_out[3].text == "–"  # noqa: RUF001


def test_a_fault_that_no_training_survived_has_no_times(tmp_path: Path) -> None:
    faults = read_faults(written(tmp_path / "faults.json", {**ROW, "recovered": False}))
    assert faults is not None
    assert [cell.text for cell in fault_table(faults).groups[""][0]][-2:] == ["–", "–"]  # noqa: RUF001


def test_the_page_shows_it_where_it_was_measured(full: Any, tmp_path: Path) -> None:
    def page(**measured: Path) -> str:
        return write_report(full.root, tmp_path / "report", **measured).read_text(encoding="utf-8")

    assert "What faults cost" in page(faults=written(tmp_path / "faults.json", ROW))
    assert "What faults cost" not in page(faults=tmp_path / "not-there.json")
    assert "What faults cost" not in page()


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "faults.json", {**ROW, "seconds": "soon"})
    with pytest.raises(DataError, match="seconds"):
        read_faults(path)
