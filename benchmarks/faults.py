"""Malformed input, kills, full disks and vanishing files: what is survived, and what is lost.

    python benchmarks/faults.py                                # everything
    python benchmarks/faults.py --parts input                  # the corpus of benchmarks/hostile.py
    python benchmarks/faults.py --parts kill --kills 50
    python benchmarks/faults.py --parts disk

Every command is the real one, in a process of its own (forked after the imports, to spare their time) with a
limit on memory and time. All bad movies lie beside a good one, whose tables must be, byte for byte, those of
a run without them; then each is given alone. Linux only; full disks need root, and are left out without it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from fault_commands import (
    PATIENCE_S,
    TIME_S,
    Row,
    command,
    failed_lines,
    finish,
    reference,
    start,
    tables,
    use,
    workplace,
)
from fault_disks import check_disk
from hostile import (
    CANARY,
    LABELS,
    MOVIES,
    ODD_SHEETS,
    QUICK,
    SETTINGS,
    SHEETS,
    WEIGHTS,
    Verdict,
    label_discs,
    write_good,
)

MOVIES_A_BATCH = 2


def check_movies_together(names: Sequence[str], wanted: dict[str, bytes]) -> tuple[Row, set[str]]:
    """Run the good movie with all bad ones beside it; return also which entries failed, in one line each."""
    row = Row("movie", "all of them beside the good one")
    with workplace() as folder:
        made: dict[str, str] = {}
        for k, name in enumerate(names):
            before = set((folder / "in").iterdir())
            MOVIES[name][0](folder / "in" / f"bad{k:03d}.tif")
            for path in set((folder / "in").iterdir()) - before:
                made[os.fsencode(Path("in") / path.name).decode("utf-8", "replace")] = name
        ran = finish(start(use(), folder), folder, limit_s=4 * PATIENCE_S)
        row.note(ran, limit_s=4 * TIME_S)
        failures = pd.read_csv(folder / "out" / "failures.csv")
        failed = {made.get(path, path) for path in failures["path"]}
        row.expect("exit code", ran.code, 1 if failed else 0)
        row.expect("lines", len(failed_lines(ran)), len(failures))
        row.expect("good movie changed:", tables(folder / "out" / "good") != wanted, False)
        row.expect("code was run:", (folder / CANARY).exists(), False)
    row.line = f"{len(failed)} of {len(names)} refused, the others analysed"
    return row, failed


def check_movie(name: str, verdict: Verdict, failed: bool) -> Row:
    """Give a bad movie alone; what became of it beside the good one must agree."""
    row = Row("movie", name)
    with workplace() as folder:
        (folder / "in" / "good.tif").unlink()
        MOVIES[name][0](folder / "in" / "bad.tif")
        ran = command(use(), folder)
        row.note(ran)
        lines = failed_lines(ran)
        row.expect("exit code", ran.code, 0 if verdict == "analysed" else 2)
        row.expect("lines", len(lines), 0 if verdict == "analysed" else 1)
        row.line = lines[0] if lines else verdict
        row.expect("code was run:", (folder / CANARY).exists(), False)
    row.expect("beside the good movie refused:", failed, verdict == "refused")
    return row


def check_usage(part: str, name: str, content: bytes) -> Row:
    """Run the good movie with a wrong settings file or sample sheet: one line, nothing written."""
    row = Row(part, name)
    with workplace() as folder:
        (folder / "bad").write_bytes(content)
        options = use(settings="bad") if part == "settings" else use("--samples", "bad")
        ran = command(options, folder)
        row.note(ran)
        row.expect("exit code", ran.code, 2)
        row.expect("lines", len(ran.said), 1)
        row.line = ran.said[0] if ran.said else ""
        row.expect("output written:", (folder / "out").exists(), False)
        if (folder / CANARY).exists():
            row.problems.append("code was run")
    return row


def check_odd_sheet(name: str, wanted: dict[str, bytes]) -> Row:
    """Run the good movie with an odd sheet that is no wrong one."""
    row = Row("sheet", name, "analysed")
    with workplace() as folder:
        (folder / "sheet.csv").write_bytes(ODD_SHEETS[name])
        ran = command(use("--samples", "sheet.csv"), folder)
        row.note(ran)
        row.expect("exit code", ran.code, 0)
        row.expect("good movie changed:", tables(folder / "out" / "good") == wanted, True)
        pages = "".join(path.read_text() for path in (folder / "out").rglob("*.html"))
        row.expect("script in a page:", "<script>alert" in pages, False)
    return row


def check_labels(name: str) -> Row:
    """Give wrong labels to one of two movies, and to the only one."""
    row = Row("labels", name)
    for alone in (False, True):
        with workplace() as folder:
            (folder / "labels").mkdir()
            LABELS[name](folder / "labels" / "bad.tif")
            write_good(folder / "in" / "bad.tif")
            if alone:
                (folder / "in" / "good.tif").unlink()
            else:
                label_discs(folder / "labels" / "good.tif")
            ran = command(use("--labels", "labels/{name}.tif"), folder)
            row.note(ran)
            row.expect("exit code", ran.code, 2 if alone else 1)
            row.expect("lines", len(failed_lines(ran)), 1)
            row.line = (failed_lines(ran) or [""])[0]
    return row


def check_weights(name: str) -> Row:
    """Give wrong weights: every movie fails in one line, and no code is run."""
    row = Row("weights", name)
    with workplace() as folder:
        WEIGHTS[name](folder / "bad.safetensors")
        (folder / "bad.yaml").write_text(QUICK.replace("cells: {", "cells: {weights: bad.safetensors, "))
        ran = command(use(settings="bad.yaml"), folder)
        row.note(ran)
        row.expect("exit code", ran.code, 2)
        row.expect("lines", len(failed_lines(ran)), 1)
        row.line = (failed_lines(ran) or [""])[0]
        if (folder / CANARY).exists():
            row.problems.append("code was run")
    return row


def check_input(only: str) -> Iterator[Row]:
    """Yield a row for each entry of the corpus whose name or part matches."""
    wanted = reference()
    todo: list[tuple[str, str, Callable[[], Row]]] = []
    movies = [name for name in MOVIES if re.search(only, f"movie: {name}")]
    row, failed = check_movies_together(movies, wanted)
    yield row
    todo += [("movie", n, lambda n=n: check_movie(n, MOVIES[n][1], n in failed)) for n in movies]
    todo += [("settings", n, lambda n=n, b=b: check_usage("settings", n, b)) for n, b in SETTINGS.items()]
    todo += [("sheet", n, lambda n=n, b=b: check_usage("sheet", n, b)) for n, b in SHEETS.items()]
    todo += [("sheet", n, lambda n=n: check_odd_sheet(n, wanted)) for n in ODD_SHEETS]
    todo += [("labels", n, lambda n=n: check_labels(n)) for n in LABELS]
    todo += [("weights", n, lambda n=n: check_weights(n)) for n in WEIGHTS]
    yield from (check() for part, name, check in todo if re.search(only, f"{part}: {name}"))


def batch_of(folder: Path, count: int = MOVIES_A_BATCH) -> None:
    """Write movies m0, m1 …, each with its own noise."""
    (folder / "in" / "good.tif").unlink()
    for k in range(count):
        write_good(folder / "in" / f"m{k}.tif", seed=k)


def all_tables(out: Path) -> dict[str, dict[str, bytes]]:
    """Return the tables of every movie in an output folder."""
    return {folder.name: found for folder in sorted(out.iterdir()) if (found := tables(folder))}


KILLS = ("one process", "two workers, all killed", "two workers, the leader killed")


def kill_once(mode: str, folder: Path, wanted: object, whole_s: float, rng: random.Random) -> Row:
    """Kill a batch with SIGKILL at a random moment, begin it again, and compare the tables."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    arguments = use("--workers", "1" if mode == KILLS[0] else "2")
    child = start(arguments, folder)
    after_s = rng.uniform(0, whole_s)
    time.sleep(after_s)
    complete = [path.parent.name for path in out.glob("*/run.json")]
    row = Row("kill", mode, f"after {after_s:.2f} of {whole_s:.2f} s, {len(complete)} complete")
    (os.kill if mode == KILLS[2] else os.killpg)(child, signal.SIGKILL)
    os.waitpid(child, 0)
    again = command(arguments, folder)
    row.note(again)
    row.expect("exit code", again.code, 0)
    row.expect("tables equal:", all_tables(out) == wanted, True)
    row.expect("listed:", len(pd.read_csv(out / "movies.csv")), MOVIES_A_BATCH)
    for name in complete:
        if not any(line.startswith(f"{name}: complete already") for line in again.said):
            row.problems.append(f"{name} was complete and is analysed again")
    if left := list(out.rglob("*.part")):
        row.problems.append(f"left behind: {left[0].name}")
    return row


def check_kills(count: int, seed: int) -> Iterator[Row]:
    """Yield a row for each kill."""
    rng = random.Random(seed)
    with workplace() as folder:
        batch_of(folder)
        whole_s = {}
        for mode, workers in zip(KILLS, "122"):
            shutil.rmtree(folder / "out", ignore_errors=True)
            begun = time.monotonic()
            ran = command(use("--workers", workers), folder)
            assert ran.code == 0, ran.said
            whole_s[mode] = time.monotonic() - begun
        wanted = all_tables(folder / "out")
        for k in range(count):
            mode = KILLS[max(0, k % 10 - 7)]  # Mostly one process: workers take seconds to start.
            yield kill_once(mode, folder, wanted, whole_s[mode], rng)


def table(rows: Iterable[Row]) -> str:
    """Return the table by part: tried, survived, lost."""
    found = pd.DataFrame([{"part": row.part, "survived": not row.problems} for row in rows])
    counts = found.groupby("part", sort=False)["survived"].agg(tried="size", survived="sum")
    counts["lost"] = counts["tried"] - counts["survived"]
    counts.loc["all"] = counts.sum()
    return counts.to_string()


def main() -> None:
    """Run the parts asked for, print a line per entry and the table, and write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--parts", nargs="+", choices=("input", "kill", "disk"), default=["input", "kill", "disk"]
    )
    parser.add_argument("--only", default="", help="regular expression for entries of the corpus")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write every row to this CSV file")
    options = parser.parse_args()
    import exovision.batch.run
    import exovision.nets.unet  # noqa: F401

    makers: dict[str, Callable[[], Iterator[Row]]] = {
        "input": lambda: check_input(options.only),
        "kill": lambda: check_kills(options.kills, options.seed),
        "disk": check_disk,
    }
    rows = []
    for part in options.parts:
        for row in makers[part]():
            rows.append(row)
            state = "LOST" if row.problems else "ok"
            cost = f"{row.seconds:.1f} CPU-s, {row.peak_gb:.2f} GB"
            print(
                state,
                f"{row.part}: {row.name}",
                cost,
                "; ".join(row.problems),
                row.line,
                sep=" | ",
                flush=True,
            )
    print(table(rows))
    if options.out is not None:
        pd.DataFrame([vars(row) | {"problems": "; ".join(row.problems)} for row in rows]).to_csv(
            options.out, index=False
        )


if __name__ == "__main__":
    main()
