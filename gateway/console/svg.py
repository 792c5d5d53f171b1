"""SVG as text: elements with what is inside them, everything escaped. It knows no picture."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

Point = tuple[float, float]

# What XML 1.0, 2.2 does not allow in a document, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(name: str, inside: Iterable[str] = (), **attributes: object) -> str:
    """An element around finished elements; `class_` is `class`, `font_size` is `font-size`."""
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(_clean(_text(value)))}"
        for key, value in attributes.items()
    )
    body = "".join(inside)
    return f"<{name}{said}>{body}</{name}>" if body else f"<{name}{said}/>"


def words(text: str, x: float, y: float, class_: str, **attributes: object) -> str:
    """A line of text."""
    return element("text", [escape(_clean(text))], x=x, y=y, class_=class_, **attributes)


def hint(text: str) -> str:
    """What is shown where the pointer rests; first inside its element."""
    return f"<title>{escape(_clean(text))}</title>"


def stepped(points: Iterable[Point]) -> list[Point]:
    """The corners of a stepped curve: each value holds until the next one's x; equal ones are one step."""
    found: list[Point] = []
    last_x = 0.0
    for last_x, y in points:
        if not found:
            found.append((last_x, y))
        elif y != found[-1][1]:
            found += [(last_x, found[-1][1]), (last_x, y)]
    return [*found, (last_x, found[-1][1])] if found and found[-1][0] != last_x else found


def path(points: Iterable[Point], is_closed: bool = False) -> str:
    """The path from point to point; along a line of the paper only the other coordinate is said."""
    said: list[str] = []
    before: tuple[str, str] | None = None
    for point in points:
        x, y = map(_text, point)
        if before is None:
            said.append(f"M{x} {y}")
        elif y == before[1]:
            said += [f"H{x}"] if x != before[0] else []
        else:
            said.append(f"V{y}" if x == before[0] else f"L{x} {y}")
        before = x, y
    return "".join(said) + ("Z" if is_closed else "")


def _text(value: object) -> str:
    """Numbers to a tenth of a pixel, without what says nothing."""
    return f"{round(value, 1) + 0.0:g}" if isinstance(value, float) and math.isfinite(value) else str(value)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
