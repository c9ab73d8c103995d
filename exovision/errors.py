"""The exceptions that exovision raises on purpose, each with the exit code of the command line."""

from __future__ import annotations


class ExovisionError(Exception):
    """The base of every error raised on purpose; its text is one line for the user."""

    exit_code = 2


class InputError(ExovisionError):
    """A movie, label image, table or folder that cannot be used as it is."""


class MissingFactError(InputError):
    """A movie that does not say something which must not be guessed.

    Attributes
    ----------
    fact : str
        The argument of `exovision.read` that gives it.
    """

    def __init__(self, fact: str, text: str) -> None:
        super().__init__(text)
        self.fact = fact


class SettingsError(ExovisionError):
    """A setting, method name, channel or option that does not exist or has a wrong value."""


class OutputError(ExovisionError):
    """A place that cannot be written to."""


class Cancelled(ExovisionError):  # noqa: N818 (it is no error of the program)
    """Work stopped on request; what was finished before remains."""

    exit_code = 130
