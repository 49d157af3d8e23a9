"""One number over generations, as a drawing that needs no script and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as xml

_WIDTH, _HEIGHT = 360, 120
_TOP, _BOTTOM = 20, 98
_WIDEST = 44.0
# Two moments have room side by side.
_TWO_TEXTS = 250.0


@dataclass(frozen=True)
class Bar:
    """`value` is None where there is none, as of a run that failed. `tone` is a class of the page:
    `good`, `bad` or `open`; `says` is shown when a pointer rests on it."""

    value: float | None
    tone: str
    says: str


def draw(bars: Sequence[Bar], largest: str, first: str, last: str) -> str:
    """An SVG element whose colours are those of the page. `largest` is what the top line stands
    for, `first` and `last` are below the ends."""
    picture = xml.Element(
        "svg",
        {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img", "aria-label": f"Up to {largest}"},
    )
    top = max((bar.value for bar in bars if bar.value is not None), default=0.0)
    _line(picture, _TOP, "top")
    _text(picture, largest, 0, _TOP - 6, "start")
    step = min(_WIDEST, _WIDTH / max(len(bars), 1))
    for place, bar in enumerate(bars):
        _bar(picture, bar, place * step, step, top)
    _line(picture, _BOTTOM, "base")
    _text(picture, first, 0, _HEIGHT - 6, "start")
    if last != first:
        # Below the last bar, but never over what stands below the first one.
        _text(picture, last, max(len(bars) * step, _TWO_TEXTS), _HEIGHT - 6, "end")
    return xml.tostring(picture, encoding="unicode")


def _bar(picture: xml.Element, bar: Bar, left: float, step: float, top: float) -> None:
    gap = min(3.0, step / 4)
    if bar.value is None:
        high = float(_BOTTOM - _TOP)
    else:
        high = max((_BOTTOM - _TOP) * bar.value / top, 1.0) if top > 0 else 1.0
    shape = xml.SubElement(
        picture,
        "rect",
        {
            "class": bar.tone if bar.value is not None else f"{bar.tone} none",
            "x": f"{left + gap / 2:.1f}",
            "y": f"{_BOTTOM - high:.1f}",
            "width": f"{step - gap:.1f}",
            "height": f"{high:.1f}",
        },
    )
    xml.SubElement(shape, "title").text = bar.says


def _line(picture: xml.Element, y: int, name: str) -> None:
    ends = {"x1": "0", "x2": str(_WIDTH), "y1": str(y), "y2": str(y)}
    xml.SubElement(picture, "line", {"class": name, **ends})


def _text(picture: xml.Element, said: str, x: float, y: int, anchor: str) -> None:
    place = {"x": f"{x:.1f}", "y": str(y), "text-anchor": anchor}
    xml.SubElement(picture, "text", place).text = said
