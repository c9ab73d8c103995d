"""What the user is told: napari's notifications, in the words of the panels."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import show_error, show_info, show_warning

from exovision.errors import Cancelled, ExovisionError

FIELDS = {
    "--channels": "the channels' roles in the Analyse panel",
    "--pixel-size-um": "the pixel size in the Analyse panel",
    "--frame-interval-s": "the frame interval in the Analyse panel",
    "--labels": "the cells in the Analyse panel",
    "--out": "the results folder in the Analyse panel",
    "--axes": "axes",
    "--pattern": "the pattern under “Open file or folder”",
}


def in_panel_words(text: str) -> str:
    """Return a message of the library with the command line's options as the panel's fields."""
    text = re.sub(r"(?:pass it with|give it with|correct|pass) (--[a-z-]+)", _field, text)
    return re.sub(r"--[a-z-]+", lambda found: FIELDS.get(found[0], found[0]), " ".join(text.split()))


def _field(found: re.Match[str]) -> str:
    return f"fill in {FIELDS.get(found[1], found[1])}"


def say(text: str) -> None:
    """Tell something in passing."""
    show_info(text)


def warn(text: str) -> None:
    """Tell something that the user should look at."""
    show_warning(in_panel_words(text))


def complain(error: BaseException) -> None:
    """Tell what went wrong and what to do; a defect of the program leaves its trace in the log."""
    if isinstance(error, Cancelled):
        say("stopped; what was finished before is kept")
    elif isinstance(error, ExovisionError):
        show_error(in_panel_words(str(error)))
    else:
        logging.getLogger(__name__).error("unexpected", exc_info=error)
        show_error(f"internal error: {error!r}; the log has details, please report it")


@contextmanager
def complaining() -> Iterator[None]:
    """Turn an error of the block into a notification."""
    try:
        yield
    except Exception as error:
        complain(error)
