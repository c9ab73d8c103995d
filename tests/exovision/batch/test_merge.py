"""Parts of a batch, and batches, brought together."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from exovision.batch.jobs import Job, Shard
from exovision.batch.merge import merge
from exovision.batch.run import run_batch
from exovision.errors import InputError, SettingsError
from exovision.settings import ExperimentSettings


@pytest.mark.parametrize("apart", [False, True])
def test_parts_merged_are_the_whole(apart: bool, jobs: list[Job], tmp_path: Path) -> None:
    run_batch(jobs, tmp_path / "whole", device="cpu")
    outs = [tmp_path / (f"part{i}" if apart else "all") for i in (1, 2, 3)]
    for i, out in enumerate(outs, start=1):
        assert run_batch(jobs, out, device="cpu", shard=Shard(i, 3)).report is None
    merge(sorted(set(outs)), tmp_path / "all", settings=ExperimentSettings())
    for file in ("movies.csv", "failures.csv", "a/spots.parquet", "c/exosomes.csv"):
        assert (tmp_path / "all" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert "d.tif" in (tmp_path / "all/report.html").read_text()
    assert run_batch(jobs, tmp_path / "all", device="cpu").skipped == ["a", "b", "c"]


def test_different_movies_of_one_name_are_not_merged(
    jobs: list[Job], other_jobs: list[Job], tmp_path: Path
) -> None:
    run_batch(jobs[:1], tmp_path / "one", device="cpu")
    run_batch(other_jobs[:1], tmp_path / "two", device="cpu")
    with pytest.raises(InputError, match=r"a: .*one and .*two hold different movies"):
        merge([tmp_path / "one", tmp_path / "two"], tmp_path / "all", settings=ExperimentSettings())
    assert not (tmp_path / "all/a").exists()


def test_what_is_not_complete_is_left_out_and_said(jobs: list[Job], tmp_path: Path) -> None:
    run_batch(jobs, tmp_path / "one", device="cpu")
    (tmp_path / "one/b/spots.parquet").unlink()
    said: list[str] = []
    merge([tmp_path / "one"], tmp_path / "all", settings=ExperimentSettings(), say=said.append)
    assert list(pd.read_csv(tmp_path / "all/movies.csv")["movie"]) == ["a", "c"]
    assert any(line.startswith("b: not complete in") for line in said)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no movies\.csv is there"):
        merge([tmp_path], tmp_path / "all", settings=ExperimentSettings())


def test_every_job_is_in_one_part(jobs: list[Job]) -> None:
    parts = [Shard.parse(f"{i}/3", {}).part(jobs) for i in (1, 2, 3)]
    assert sorted(job.entry.name for part in parts for job in part) == ["a", "b", "c", "d"]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3/4", "auto"])
def test_a_part_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--shard"):
        Shard.parse(text, {})


def test_the_part_of_an_array_task_comes_from_its_variables() -> None:
    slurm = {"TASK_ID": "14", "TASK_MIN": "10", "TASK_MAX": "18", "TASK_STEP": "2"}
    assert Shard.parse("auto", {f"SLURM_ARRAY_{k}": v for k, v in slurm.items()}) == Shard(3, 5)
    sge = {"SGE_TASK_ID": "1", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "4", "SGE_TASK_STEPSIZE": "1"}
    assert Shard.parse("auto", sge) == Shard(1, 4)
