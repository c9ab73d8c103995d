"""Movies on a Dask cluster: a real local scheduler with workers, one of them killed at work."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from exovision.batch.jobs import Job
from exovision.batch.run import run_batch
from exovision.errors import SettingsError


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as made:
        yield made


@pytest.mark.filterwarnings("default::ResourceWarning")
def test_a_cluster_writes_what_one_process_writes(
    cluster: LocalCluster, jobs: list[Job], tmp_path: Path
) -> None:
    said: list[str] = []
    one = run_batch(jobs, tmp_path / "one", device="cpu")
    many = run_batch(
        jobs, tmp_path / "many", device="cpu", scheduler=cluster.scheduler_address, say=said.append
    )
    assert many.done == one.done == ["a", "b", "c"]
    assert many.failures == one.failures
    for name in one.done:
        assert any(line.startswith(f"{name}: ") for line in said)
        same = [(tmp_path / out / name / "spots.parquet").read_bytes() for out in ("one", "many")]
        assert same[0] == same[1]


@pytest.mark.filterwarnings("default::ResourceWarning")
def test_a_movie_whose_worker_is_killed_is_analysed_by_another(
    cluster: LocalCluster, jobs: list[Job], tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill_the_first_at_work() -> None:
        with Client(cluster.scheduler_address, set_as_default=False) as client:
            while not killed:
                busy = [worker for worker, tasks in client.processing().items() if tasks]
                for worker in busy[:1]:
                    pid = client.run(os.getpid, workers=[worker])[worker]
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                time.sleep(0.02)

    killer = threading.Thread(target=kill_the_first_at_work)
    killer.start()
    outcome = run_batch(jobs, tmp_path, device="cpu", scheduler=cluster.scheduler_address)
    killer.join()
    assert killed and outcome.done == ["a", "b", "c"]


def test_a_scheduler_that_is_not_there_is_said(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exovision.batch.cluster.CONNECT_S", "1s")
    for address in ("tcp://127.0.0.1:1", "nonsense://here"):
        with pytest.raises(SettingsError, match="--scheduler must be the address"):
            run_batch(jobs, tmp_path, scheduler=address)
