"""How the names of single images are told apart: regular expressions, presets, and times written in names."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import MappingProxyType

from exovision.errors import SettingsError

GROUPS = ("t", "c", "z", "p", "well")
PRESETS = MappingProxyType(
    {
        "incucyte": (
            r"^(?:.*?(?P<c>phase|green|red|orange|nir)[^/]*?)?.*?_?(?P<well>[A-P]\d{1,2})_(?P<p>\d{1,3})_"
            r"(?P<t>\d+d\d+h\d+m|\d{4}y\d\dm\d\dd_\d\dh\d\dm)\.tiff?$"
        ),
        "micromanager": r"^img_channel(?P<c>\d+)_position(?P<p>\d+)_time(?P<t>\d+)_z(?P<z>\d+)\.tiff?$",
        "micromanager1": r"^img_(?P<t>\d{9})_(?P<c>.+)_(?P<z>\d{3})\.tiff?$",
    }
)
"""Names that stand for a pattern: exports of the Incucyte, and folders that Micro-Manager 2 and 1.4 save."""
_ELAPSED = re.compile(r"(\d+)d(\d+)h(\d+)m")
_MOMENT = "%Yy%mm%dd_%Hh%Mm"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern, or that of a preset, whose letters may be of either case.

    Raises
    ------
    SettingsError
        If it is no regular expression, or names none or unknown groups.
    """
    try:
        preset = PRESETS.get(pattern)
        compiled = re.compile(pattern) if preset is None else re.compile(preset, re.IGNORECASE)
    except re.error as error:
        raise SettingsError(f"--pattern must be a regular expression, got {pattern!r}: {error}") from error
    names = set(compiled.groupindex)
    if not names or names - set(GROUPS):
        raise SettingsError(
            f"--pattern must be {', '.join(PRESETS)}, or have named groups among t c z p well, such as "
            f"(?P<t>\\d+), got {pattern!r} with {', '.join(sorted(names)) or 'none'}"
        )
    return compiled


def spelled_time_s(token: str) -> float | None:
    """Return the seconds of a time written as `00d02h30m` or `2026y03m01d_09h30m`, None for anything else.

    Only differences between times of one movie mean anything. A date that does not exist is none.
    """
    if match := _ELAPSED.fullmatch(token):
        days, hours, minutes = map(int, match.groups())
        return 60.0 * (60 * (24 * days + hours) + minutes)
    try:
        return datetime.strptime(token, _MOMENT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
