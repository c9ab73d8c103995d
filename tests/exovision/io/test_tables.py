"""Tables and JSON on disk: what is missing stays missing, and nothing is half written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.errors import InputError, OutputError
from exovision.files import replacing
from exovision.io.tables import read_table, write_csv, write_json, write_parquet

COLUMNS = {"id": schema.INT, "value": schema.FLOAT, "name": schema.TEXT, "good": schema.BOOL}


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "extra": [1, 2, 3],
            "value": [0.1 + 0.2, np.nan, -1e-300],
            "id": pd.array([3, None, 1], dtype="Int64"),
            "name": ["a,b", None, 'say "NA"'],
            "good": pd.array([True, None, False], dtype="boolean"),
        }
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_returns_as_it_was_written(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"
    (write_csv if suffix == ".csv" else write_parquet)(table(), path, COLUMNS)
    back = read_table(path, COLUMNS)
    assert list(back.columns) == [*COLUMNS, "extra"]
    pd.testing.assert_frame_equal(back[list(COLUMNS)], schema.conform(table(), COLUMNS)[list(COLUMNS)])


def test_csv_leaves_what_is_missing_empty(tmp_path: Path) -> None:
    write_csv(table(), tmp_path / "t.csv", COLUMNS)
    assert (tmp_path / "t.csv").read_bytes().decode().splitlines() == [
        "id,value,name,good,extra",
        '3,0.30000000000000004,"a,b",true,1',
        ",,,,2",
        '1,-1e-300,"say ""NA""",false,3',
    ]


def test_absent_columns_are_null_and_empty_tables_keep_their_columns(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"id": [1]}), tmp_path / "t.csv", COLUMNS)
    assert read_table(tmp_path / "t.csv", COLUMNS)[["value", "name", "good"]].isna().all(axis=None)
    for name in ("e.csv", "e.parquet"):
        write = write_csv if name.endswith("csv") else write_parquet
        write(schema.empty(schema.SPOTS), tmp_path / name, schema.SPOTS)
        back = read_table(tmp_path / name, schema.SPOTS)
        assert (len(back), list(back.columns)) == (0, list(schema.SPOTS))
        assert {column: str(dtype) for column, dtype in back.dtypes.items()} == schema.SPOTS


@pytest.mark.parametrize(
    "name", ["spots", "exosomes", "events", "cells", "fates", "truth_spots", "truth_events", "decoys"]
)
def test_every_table_of_the_contract_has_unique_typed_columns(name: str) -> None:
    columns = getattr(schema, name.upper())
    assert list(schema.empty(columns).columns) == list(columns)
    assert set(columns.values()) <= {schema.FLOAT, schema.INT, schema.TEXT, schema.BOOL}


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.csv", "id,value\nx,1\n"), ("t.parquet", "no parquet"), ("gone.csv", None), ("gone.parquet", None)],
)
def test_files_that_are_no_such_table_are_told(name: str, content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=name) as caught:
        read_table(tmp_path / name, COLUMNS)
    assert "\n" not in str(caught.value)


def test_json_has_only_what_json_knows(tmp_path: Path) -> None:
    content = {
        "nan": np.nan,
        "inf": [float("inf"), np.float32(1.5)],
        "na": pd.NA,
        "array": np.arange(3),
        "bool": np.bool_(True),
        "table": pd.DataFrame({"a": [1]}),
        "set": {2, 1},
        "path": Path("a"),
        3: "µ",
    }
    write_json(content, tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text(encoding="utf-8")) == {
        "nan": None,
        "inf": [None, 1.5],
        "na": None,
        "array": [0, 1, 2],
        "bool": True,
        "table": [{"a": 1}],
        "set": [1, 2],
        "path": "a",
        "3": "µ",
    }


def test_a_file_that_could_not_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match="must be writable"):
        write_json({}, tmp_path / "gone" / "f.json")
