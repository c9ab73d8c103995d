"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exovision.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends well.

    Raises
    ------
    OutputError
        If the folder cannot be written to; whatever was at `path` before is then still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: the file must be writable, got: {error.strerror or error}; "
            "free the place or choose another folder with --out"
        ) from error
    finally:
        with suppress(OSError):  # The folder itself may be gone; what went wrong is told above.
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that takes its place when the block ends well.

    Raises
    ------
    OutputError
        If the place cannot be written to.
    """
    temporary, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            path.replace(old)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: the folder must be writable, got: {error.strerror or error}; "
            "free the place or choose another folder with --out"
        ) from error
    finally:
        for left in (temporary, old):
            shutil.rmtree(left, ignore_errors=True)


def write_text(text: str, path: Path) -> None:
    r"""Write UTF-8 text with `\n` line ends, whole or not at all; raises `OutputError`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
