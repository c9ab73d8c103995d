"""Tables and JSON in and out: the same content gives the same bytes, and files appear whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from exovision.errors import InputError
from exovision.files import replacing, write_text
from exovision.schema import FLOAT, conform


def write_csv(table: pd.DataFrame, path: Path, columns: Mapping[str, str]) -> None:
    r"""Write a table as CSV: UTF-8, `\n`, nulls empty, true/false, floats with the fewest digits that return.

    Parameters
    ----------
    table : DataFrame of shape (N, any)
    path : Path
    columns : mapping of str to str
        The contract's columns, first and in this order; extra columns follow.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    plain = conform(table, columns)
    for name in plain.columns:
        if pd.api.types.is_bool_dtype(plain[name].dtype):
            plain[name] = plain[name].map({True: "true", False: "false"}).astype("string")
    with replacing(path) as temporary:
        plain.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n")


def write_parquet(table: pd.DataFrame, path: Path, columns: Mapping[str, str]) -> None:
    """Write a table as Parquet (zstd), NaN as null; columns as in `write_csv`.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    arrow = pa.Table.from_pandas(conform(table, columns), preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")


def read_table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a table that `write_csv` or `write_parquet` wrote, with the contract's columns and types.

    Parameters
    ----------
    path : Path
        Ends in `.csv` or `.parquet`.
    columns : mapping of str to str
        The contract's columns; those that the file lacks become null, extra ones are kept.

    Raises
    ------
    InputError
        If the file is missing, is no such table, or a column holds the wrong type.
    """
    try:
        if path.suffix == ".parquet":
            return conform(pq.read_table(path).to_pandas(), columns)
        return conform(_read_csv(path, columns), columns)
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: a table in CSV or Parquet was expected, got: {reason}") from error


def _read_csv(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    # pandas' own parser may miss the last digit; Python's float returns what was written.
    exact = {name: _number for name, dtype in columns.items() if dtype == FLOAT}
    return pd.read_csv(
        path,
        dtype={name: dtype for name, dtype in columns.items() if name not in exact},
        converters=exact,
        encoding="utf-8",
        keep_default_na=False,
        na_values=[""],
    )


def _number(text: str) -> float:
    return float(text or "nan")


def write_json(content: Any, path: Path) -> None:
    """Write JSON: keys in the order given, NaN, infinity and NA as null, numpy values as plain numbers.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = json.dumps(plain_json(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(text + "\n", path)


def plain_json(content: Any) -> Any:
    """Return nested content with only the types that JSON knows; what is not finite becomes None.

    Arrays and sequences become lists, tables become lists of rows, anything unknown becomes its text.
    """
    if isinstance(content, Mapping):
        return {str(key): plain_json(value) for key, value in content.items()}
    if isinstance(content, pd.DataFrame):
        return plain_json(content.to_dict("records"))
    if isinstance(content, np.ndarray | pd.Series):
        return plain_json(content.tolist())
    if isinstance(content, list | tuple | range | set | frozenset):
        return [
            plain_json(value)
            for value in (sorted(content) if isinstance(content, set | frozenset) else content)
        ]
    return _plain_scalar(content.item() if isinstance(content, np.generic) else content)


def _plain_scalar(value: Any) -> Any:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int) else str(value)
