"""What a fleet asks of a broker, reckoned from what one home was measured to say: arithmetic alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.daemon.documents import AT_LEAST_EVERY_S as AVAILABILITY_EVERY_S
from gateway.daemon.uplink import Pace
from gateway.daemon.uplog import BACKFILL_ROWS
from tests.bench.packets import publish
from tests.bench.simulated import MINUTE_S, READ_ROWS

FLEETS = (1_000, 10_000, 100_000, 1_000_000)
OUTAGES_S = (600, 21_600)
RETAINED = ("presence", "state", "availability", "keys")
GREETING = ("presence", "state", "availability")
SITE = "home-00000"
FIRST_CEILINGS_S = 511  # 1 + 2 + ... + 256: after so long in vain every wait is drawn below the longest


@dataclass(frozen=True, slots=True)
class One:
    """One home: bytes of its messages as MQTT packets, by topic, and of one point's minute; its points."""

    packets: Mapping[str, int]
    row: int
    points: int


@dataclass(frozen=True, slots=True)
class Return:
    """How a fleet comes back after an outage; the peaks are those of the first seconds."""

    outage_s: int
    connects_per_s: float
    messages_each: int
    bytes_each: int
    messages_per_s: float
    bytes_per_s: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a fleet asks for while all is well, and when it comes back."""

    homes: int
    messages_per_s: float
    """In, at least: telemetry and availability. As many PUBACKs go out."""
    bytes_per_s: float
    pings_per_s: float
    acks_per_s: float
    """Out, where the aggregator acknowledges each home once a minute."""
    retained_bytes: int
    returns: tuple[Return, ...]


def one_of(messages: Mapping[str, bytes], row: int, points: int) -> One:
    """A home whose messages these are, by topic; `row` is the size of one reading."""
    sizes = {topic: len(publish(1, f"homeflex/v1/{SITE}/{topic}", body)) for topic, body in messages.items()}
    return One(sizes, row, points)


def load(one: One, homes: int, keepalive_s: int) -> Load:
    """Of so many homes like this one."""
    telemetry, availability = homes / MINUTE_S, homes / AVAILABILITY_EVERY_S
    sent = telemetry * one.packets["telemetry"] + availability * one.packets["availability"]
    return Load(
        homes,
        telemetry + availability,
        sent,
        homes / keepalive_s,
        telemetry,
        homes * sum(one.packets[topic] for topic in RETAINED),
        tuple(returned(one, homes, outage_s) for outage_s in OUTAGES_S),
    )


def table(loads: Sequence[Load]) -> str:
    """Fleets side by side, in Markdown: a row for each thing asked of the broker."""
    rows: list[tuple[str, list[float], str]] = [
        ("connections", [each.homes for each in loads], ""),
        ("messages in, at least, and PUBACKs out", [each.messages_per_s for each in loads], "/s"),
        ("as MQTT packets", [each.bytes_per_s / 1e6 for each in loads], " MB/s"),
        ("PINGREQ in, at most", [each.pings_per_s for each in loads], "/s"),
        ("`ack` out, one a home and minute", [each.acks_per_s for each in loads], "/s"),
        ("retained", [each.retained_bytes / 1e9 for each in loads], " GB"),
    ]
    for number, outage_s in enumerate(OUTAGES_S):
        backs = [each.returns[number] for each in loads]
        after = f"back after {outage_s // 60} min" if outage_s < 3600 else f"back after {outage_s // 3600} h"
        rows += [
            (f"{after}: connects, at first", [back.connects_per_s for back in backs], "/s"),
            (f"{after}: messages, at first", [back.messages_per_s for back in backs], "/s"),
            (f"{after}: bytes, at first", [back.bytes_per_s / 1e6 for back in backs], " MB/s"),
            (f"{after}: bytes in all", [back.bytes / 1e9 for back in backs], " GB"),
        ]
    head = ["| homes |" + "".join(f" {each.homes:,} |" for each in loads), "| --- |" + " ---: |" * len(loads)]
    return "\n".join(
        head + [f"| {name} |" + "".join(f" {_short(v)}{unit} |" for v in found) for name, found, unit in rows]
    )


def returned(one: One, homes: int, outage_s: int) -> Return:
    """After an outage so long that every wait is drawn from 0 to the longest.

    Raises:
        ValueError: it is shorter.
    """
    if outage_s < FIRST_CEILINGS_S:
        raise ValueError(f"{outage_s} s: the waits still grow")
    minutes = outage_s // MINUTE_S
    messages = len(GREETING) + one.points * backlog_messages(minutes)
    size = sum(one.packets[topic] for topic in GREETING) + one.points * minutes * one.row
    connects = peak_connects(homes)
    return Return(outage_s, connects, messages, size, connects * messages, connects * size, homes * size)


def backlog_messages(minutes: int) -> int:
    """Of one point: what is read from the disk at once goes in as few messages as may be."""
    full, rest = divmod(minutes, READ_ROWS)
    return full * math.ceil(READ_ROWS / BACKFILL_ROWS) + math.ceil(rest / BACKFILL_ROWS)


def _short(value: float) -> str:
    """Three figures; whole numbers from a hundred on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def peak_connects(homes: float) -> float:
    """Attempts per second as a long outage ends: what is left of a wait that is drawn evenly up to `longest`
    is densest at once, at two over the longest, and falls in a straight line to nothing."""
    return homes * 2 / Pace().retry_most_s
