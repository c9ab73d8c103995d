"""Pages from templates: everything that enters one is escaped."""

from __future__ import annotations

from typing import Any

import jinja2

from exovision.report import wording

_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("exovision", "report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {"number": wording.number, "interval": wording.interval}


def render(template: str, content: dict[str, Any]) -> str:
    """Return the HTML of a page that is whole in itself: no script, nothing fetched."""
    return _PAGES.get_template(template).render(content) + "\n"
