"""The report's page and its Markdown twin, filled from templates; and figures made fit to stand inside a page."""

from __future__ import annotations

import re
import shlex
from html import escape as html_escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from ablate.formats import escape, units
from ablate.plots import _style

# The figure's neutral colours become the page's, so that it can be read on light and on dark.
COLOURS = {
    _style.INK: "currentColor",
    _style.QUIET: "var(--quiet)",
    _style.RULE: "var(--rule)",
    "#ffffff": "var(--paper)",
}


def fill(template: str, **values: Any) -> str:
    """A template of this folder, filled; in `.html` every value is escaped but what the template calls safe."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": escape.markdown, "code": code, "duration": units.duration, "shell": shlex.quote}
    return environment.get_template(template).render(**values)


def code(text: object) -> str:
    """Text as Markdown code, also where it holds backticks or stands in a table."""
    line = escape.one_line(str(text)).replace("|", r"\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if "`" in line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def inline(svg: str, name: str, title: str) -> str:
    """A figure's SVG as an element of a page.

    Args:
        name: begins every id, so that several figures keep apart.
        title: what it shows, for those who cannot see it.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*(<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>)", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'^<svg ([^>]*?)\s*width="[^"]*"', r"<svg \1", re.sub(r'^(<svg [^>]*?)\s*height="[^"]*"', r"\1", svg))
    svg = re.sub("|".join(COLOURS), lambda found: COLOURS[found[0]], svg)
    return svg.replace("<svg ", f'<svg class="plot" role="img" aria-label="{html_escape(title)}" ', 1)
