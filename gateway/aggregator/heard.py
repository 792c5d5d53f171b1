"""One message of a home as it came: where, when, what, and the numbers in it that must have no gap.

Also as a JSON line, the form of `watch --json`, of what `ack` keeps, and of what `verify` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.wire.moment import moment_of, utc_s_of

ROOT = "homeflex/v1"
BUNDLED = {"telemetry": "readings", "settlement": "halfHours"}  # topics with rows of many points
UP = (
    "presence", "state", "availability", "dispatch/status", "telemetry", "telemetry/+", "settlement", "event",
)  # fmt: skip
_OF_ONE = ("telemetry", "reply")  # topics with one more level: a point, or who asked


@dataclass(frozen=True, slots=True)
class Heard:
    """A message. `retained`: it was published so, now or earlier."""

    topic: str
    payload: bytes
    retained: bool
    at_utc_s: float

    @property
    def site(self) -> str:
        """Whose topic it came on; empty if it is none of ours."""
        return self._below_root()[0]

    @property
    def below(self) -> str:
        """The topic below the site's, such as `dispatch/status`; `telemetry` also where it is one point's."""
        below = self._below_root()[1]
        kind = below.partition("/")[0]
        return kind if kind in _OF_ONE else below

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object in it; empty if it is none."""
        return body_of(self.payload)

    def _below_root(self) -> tuple[str, str]:
        if not self.topic.startswith(f"{ROOT}/"):
            return "", ""
        site, _, below = self.topic.removeprefix(f"{ROOT}/").partition("/")
        return site, below


def topics(site: str) -> tuple[str, ...]:
    """Everything a home says; `site` may be `+` for all homes."""
    return tuple(f"{ROOT}/{site}/{below}" for below in UP)


def body_of(payload: bytes) -> dict[str, Any]:
    """The JSON object in a payload; empty if it is none: what a home says must not stop us listening."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def numbers(below: str, body: dict[str, Any]) -> list[tuple[str, str, int]]:
    """(log, stream, seq) of everything numbered in a message on that topic; `seq` 0 is no number."""
    try:
        if below in BUNDLED:
            found = [
                (f"{below}:{point}", bundle["stream"], row["seq"])
                for point, bundle in body["points"].items()
                for row in bundle[BUNDLED[below]]
            ]
        elif below in ("dispatch/status", "event"):
            found = [(below.removeprefix("dispatch/"), body["stream"], body["seq"])]
        else:
            return []
    except (AttributeError, KeyError, TypeError):
        return []
    return [(log, stream, seq) for log, stream, seq in found if type(seq) is int and seq > 0]


def line_of(heard: Heard) -> str:
    """The message as one line of JSON."""
    at = moment_of(heard.at_utc_s)
    facts = {"topic": heard.topic, "at": at, "retained": heard.retained, "body": heard.body}
    return json.dumps(facts, ensure_ascii=False)


def of_lines(lines: Iterable[str]) -> Iterator[Heard]:
    """The messages in lines of JSON; empty lines are passed over.

    Raises:
        ValueError: a line is none of them; the text says which.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found = json.loads(line)
                at_utc_s, body = utc_s_of(found["at"]), json.dumps(dict(found["body"]))
                yield Heard(str(found["topic"]), body.encode(), bool(found["retained"]), at_utc_s)
            except (ValueError, KeyError, TypeError):
                raise ValueError(f"line {number} is not one that `watch --json` writes") from None
