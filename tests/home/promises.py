"""What the contract promises, judged from what the aggregator heard, the pump was told and the meter said.

Plain functions of what was seen outside the daemon; the oracle is the contract's arithmetic.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from typing import Any

from tests.home.aggregator import ENDS, Aggregator, Sent, utc_s_of
from tests.home.house import TELEGRAM, House

SECOND_TARIFF_KWH = float(re.search(rb"1-0:1\.8\.2\(([\d.]+)", TELEGRAM)[1])  # type: ignore[index]
METER_SLACK_S, METER_SLACK_KWH = 3.0, 0.003  # a reading a second, in whole watt-hours
LATE_S = 2.0  # to write, and to be written at

Log = tuple[str, str]  # its name and stream


async def no_number_is_missing_or_used_twice(house: House) -> None:
    """Each log's `seq` runs from 1 without a hole, and says the same whenever it comes again.

    What a crash kept from going out comes as backfill: wait for it.
    """
    await house.until(lambda: not holes(house.aggregator), lambda: f"no holes, not {holes(house.aggregator)}")
    said: dict[tuple[Log, int], Any] = {}
    for heard in house.aggregator.heard:
        for log, seq, what in _rows(heard.topic, heard.body):
            assert said.setdefault((log, seq), what) == what, (log, said[log, seq], what)


def holes(aggregator: Aggregator) -> list[tuple[Log, int]]:
    """Numbers that were never heard though a higher one was."""
    heard: defaultdict[Log, set[int]] = defaultdict(set)
    for message in aggregator.heard:
        for log, seq, _ in _rows(message.topic, message.body):
            heard[log].add(seq)
    return [(log, seq) for log, seqs in heard.items() for seq in range(1, max(seqs)) if seq not in seqs]


def minutes_join(minutes: list[dict[str, Any]]) -> None:
    """Each `end` is the next `start`, and none is empty or longer than a minute and what joins two grids."""
    for one, following in pairwise(minutes):
        assert one["end"] == following["start"], (one, following)
    for one in minutes:
        assert 1 <= utc_s_of(one["end"]) - utc_s_of(one["start"]) <= 119, one


def minutes_sum_to_the_register(house: House) -> None:
    """The boundary's energies and gaps are the register's difference, and the register is the meter's."""
    known = [m for m in house.aggregator.minutes("boundary") if m["importRegisterKwh"] is not None]
    assert len(known) >= 2, "too few minutes to tell"
    first, last = known[0], known[-1]
    told = [m for m in house.aggregator.minutes("boundary") if first["seq"] < m["seq"] <= last["seq"]]
    summed_kwh = sum((m["energyKwh"] or 0) + m.get("gapKwh", 0) for m in told)
    assert abs(summed_kwh - (last["importRegisterKwh"] - first["importRegisterKwh"])) < 1e-6, told
    for minute in known:
        at_utc_s, told_kwh = utc_s_of(minute["end"]), minute["importRegisterKwh"] - SECOND_TARIFF_KWH
        near = [wh / 1000 for utc_s, wh in house.register if abs(utc_s - at_utc_s) <= METER_SLACK_S]
        assert near, minute
        assert min(near) - METER_SLACK_KWH <= told_kwh <= max(near) + METER_SLACK_KWH, (minute, near)


def each_instruction_is_answered_and_ends_once(
    aggregator: Aggregator, sent: list[Sent], asset: str = "heat"
) -> None:
    """Every `set` has a status, and if it was taken exactly one end, with nothing alive after it."""
    for one in sent:
        answers = aggregator.statuses(one.id)
        assert answers, f"no answer to {one.body}"
        if not was_taken(aggregator, one):
            continue
        lives = [line["status"] for line in aggregator.lines(one.id, asset)]
        ends = [status for status in lives if status in ENDS]
        assert len(set(ends)) == 1, (one.id, lives)
        assert set(lives[lives.index(ends[0]) :]) == set(ends), (one.id, lives)


def was_taken(aggregator: Aggregator, one: Sent) -> bool:
    """Whether the instruction itself was answered with OK: its cancel is, also where it came too late."""
    return any(
        body["reception"] == "OK" and body["revision"] == one.body["revision"]
        for body in aggregator.statuses(one.id)
    )


def the_pump_is_held_in_windows_only(house: House, sent: list[Sent]) -> None:
    """Nothing took power away outside the window of an instruction that asked for it."""
    windows = [(max(start, one.at_utc_s), end + LATE_S) for one in sent for start, end in [_window(one.body)]]
    for write in house.pump.told:
        inside = any(start <= write.at_utc_s <= end for start, end in windows)
        assert inside or not write.holds, (write, windows)


def _window(body: dict[str, Any]) -> tuple[float, float]:
    """Its window and what its return may be delayed."""
    period = body["intervalPeriod"]
    start = utc_s_of(period["start"])
    return start, start + _seconds(period["duration"]) + _seconds(body["endDelay"])


def _seconds(duration: str) -> int:
    return int(duration.removeprefix("PT").removesuffix("S"))


def _rows(topic: str, body: dict[str, Any]) -> list[tuple[Log, int, Any]]:
    if topic.startswith("telemetry/"):
        topic = "telemetry"
    if topic in ("telemetry", "settlement"):
        return [
            ((f"{topic}:{point}", told["stream"]), row["seq"], row)
            for point, told in body["points"].items()
            for row in told["readings" if topic == "telemetry" else "halfHours"]
        ]
    if topic in ("dispatch/status", "event") and body["seq"]:
        return [((topic, body["stream"]), body["seq"], body)]
    return []
