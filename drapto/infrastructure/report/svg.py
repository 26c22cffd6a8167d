"""From a matplotlib figure to SVG that belongs to the page around it.

The page's colours change between light and dark, so a plot is drawn in stand-ins, one for each
role, and what is written names the page's colour: `INK` becomes `var(--ink)`.
"""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from typing import Any, Final
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

ROLES: Final = (
    "ink", "muted", "grid", "surface", "accent", "noise", "good", "bad",
    "match", "ignored", "mismatch", "critical", "candidate_error", "timeout",
    "incomparable", "skipped", "legacy_error",
)  # fmt: skip

POINTS_PER_INCH = 72.0  # so that a point of the plot is a pixel of the page

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_FONT = re.compile(r"font(-family)?:[^;]*?(\d+(?:\.\d+)?px)[^;]*")
_STAND_IN = re.compile(r"#0100([0-9a-f]{2})")
_REFERENCE = re.compile(r"#([\w.-]+)")

STYLE: Final = {
    "svg.fonttype": "none",  # text stays text: small, selectable, in the page's own font
    "font.family": "DejaVu Sans",  # comes with matplotlib, so texts are measured alike everywhere
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.constrained_layout.use": True,
    "patch.linewidth": 0,
}


def figure_of(width_px: float, height_px: float) -> Figure:
    """Empty, of this size on the page."""
    size = (width_px / POINTS_PER_INCH, height_px / POINTS_PER_INCH)
    return Figure(figsize=size, layout="constrained")


def color(role: str) -> str:
    """The stand-in for one of ROLES."""
    return f"#0100{ROLES.index(role):02x}"


def drawing() -> AbstractContextManager[None]:
    """Figures made in it have the look of the page."""
    look: Any = {  # matplotlib types every key by itself
        **STYLE,
        "text.color": color("ink"),
        "axes.edgecolor": color("grid"),
        "axes.labelcolor": color("muted"),
        "axes.titlecolor": color("ink"),
        "xtick.labelcolor": color("muted"),
        "ytick.labelcolor": color("muted"),
        "grid.color": color("grid"),
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "legend.frameon": False,
    }
    return matplotlib.rc_context(look)


def to_svg(figure: Figure, name: str, description: str) -> str:
    """An `<svg>` element. `name` is unique in the page; `description` is what is read out."""
    written = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(written.getvalue())
    for child in list(root):
        if child.tag == f"{{{_SVG}}}metadata":
            root.remove(child)
    used = {found for element in root.iter() for found in _references(element)}
    for element in root.iter():
        _tidy(element, used, name)
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.attrib.update({"role": "img", "aria-label": description})
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _references(element: ElementTree.Element) -> list[str]:
    return [name for value in element.attrib.values() for name in _REFERENCE.findall(value)]


def _tidy(element: ElementTree.Element, used: set[str], name: str) -> None:
    """Only ids that are used, unique in the page; the page's colours and font."""
    id_ = element.attrib.pop("id", "")
    for key, value in list(element.attrib.items()):
        if key == f"{{{_XLINK}}}href":
            del element.attrib[key]
            key = "href"
        if key in ("style", "fill", "stroke"):
            value = _STAND_IN.sub(lambda found: f"var(--{ROLES[int(found[1], 16)]})", value)
            value = _FONT.sub(r"font: \2 var(--font)", value)
        element.attrib[key] = _REFERENCE.sub(
            lambda found: f"#{name}-{found[1]}" if found[1] in used else found[0], value
        )
    if id_ in used:
        element.attrib["id"] = f"{name}-{id_}"
