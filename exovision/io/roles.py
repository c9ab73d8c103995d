"""Which channel is what: roles given by the user, or guessed from the names in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from exovision.errors import SettingsError
from exovision.records import check_channels, check_role

_START, _END = r"(?<![A-Za-z])", r"(?![A-Za-z])"
_LITERAL = {
    "annexin": "annexin",
    "caspase": "caspase",
    "nucleus": "nucle(?:us|i|ar)",
    "content": f"{_START}content{_END}|lumen|cargo",
    "exosome": f"exosomes?|vesicles?|{_START}s?EVs?{_END}",
    "pi": f"{_START}PI{_END}|propidium",
    "cell": f"{_START}cells?{_END}",
}
_STAINS = {
    "annexin": "psiva",
    "caspase": "casp-?[378]|nucview|devd",
    "nucleus": "dapi|hoechst|h2b|histone|sir-?dna|draq5|spy\\d*-?dna",
    "exosome": f"pkh-?\\d*|{_START}(?:di[dior]|r18|cd9){_END}|cd63|cd81|tetraspanin|memglow",
    "content": "calcein|cfse|cfda",
    "pi": "sytox|7-?aad",
    "cell": f"membrane|phase|{_START}(?:dic|bf|tl|trans|qpi|wga){_END}|bright-?field|transmitted|cytoplasm"
    "|cytosol|cellmask|celltracker|nomarski",
}
_MARKERS = re.compile("cd56|perforin|fasl|granzyme[ -]?[ab]?|trail", re.IGNORECASE)


def parse_channels(text: str) -> dict[str, int]:
    """Read channel roles written as `exosome=0,cell=1`; a semicolon may stand for the comma.

    Raises
    ------
    SettingsError
        If a part is not `ROLE=NUMBER`, or a role is unknown or given twice.
    """
    roles: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in re.split("[,;]", text))):
        role, _, number = (piece.strip() for piece in part.rpartition("="))
        if not role or not number.isdecimal():
            raise SettingsError(f"channels must be ROLE=NUMBER, such as exosome=0,cell=1, got {part!r}")
        if role in roles:
            raise SettingsError(f"a channel role may be given once, got {role} twice in {text!r}; remove one")
        roles[check_role(role)] = int(number)
    return roles


def channels_text(roles: Mapping[str, int]) -> str:
    """Return channel roles as `parse_channels` reads them."""
    return ",".join(f"{role}={index}" for role, index in roles.items())


def guess_role(name: str) -> str | None:
    """Return the role that a channel's name suggests, or None."""
    for patterns in (_LITERAL, _STAINS):
        for role, pattern in patterns.items():
            if re.search(pattern, name, re.IGNORECASE):
                return role
    marker = _MARKERS.search(name)
    return f"marker:{marker[0]}" if marker else None


def assign(
    where: str, names: Sequence[str], given: Mapping[str, int] | None
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return role to channel index, and notes on what was guessed.

    Parameters
    ----------
    where : str
        The movie, for messages.
    names : sequence of str
        One per channel; empty where the file gives none.
    given : mapping of str to int, optional
        Roles from the user; nothing is guessed then.

    Raises
    ------
    SettingsError
        If a role or index is wrong, or the names do not tell one channel of `exosome`, `cell` or `nucleus`.
    """
    if given:
        try:
            return check_channels(given, len(names)), ()
        except SettingsError as error:
            raise SettingsError(f"{where}: {error}") from error
    guessed = [guess_role(name) for name in names]
    listed = ", ".join(f"{i} {name or 'without a name'}" for i, name in enumerate(names))
    known = [role for role in guessed if role is not None]
    ambiguous = sorted({role for role in known if known.count(role) > 1})
    if ambiguous or not {"exosome", "cell", "nucleus"} & set(known):
        why = f"several channels look like {ambiguous[0]}" if ambiguous else "their names do not tell"
        raise SettingsError(
            f"{where}: the roles of {len(names)} channel(s) were wanted, but {why} ({listed}); "
            "pass --channels, such as exosome=0,cell=1"
        )
    roles = {role: index for index, role in enumerate(guessed) if role is not None}
    said = f"channel roles guessed from the names ({listed}): {channels_text(roles)}"
    return roles, (f"{said}; --channels corrects them",)
