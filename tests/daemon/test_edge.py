"""The edge: what the next run needs of the minutes is there again, point by point, and bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core import half_hour
from gateway.core.metering import Anchor, Meter, Sample, Spec, begin, feed
from gateway.daemon import codec, edge
from gateway.daemon.edge import KEY, LEFT_MAX, Edge, packed, unpacked
from tests.faults.virtual_clock import START_UTC_S

BODY = b'{"seq":0,"start":"2026-11-23T17:00:37Z","powerKw":0.383}'


def meter(*powers_w: float) -> Meter:
    made = begin(Spec(), 0.0, Anchor(0.0, START_UTC_S, True), 37)
    for at_s, power_w in enumerate(powers_w, 1):
        made = feed(made, Sample(float(at_s), power_w, round(power_w) * at_s))
    return made


def an_edge(base: int = 7, rows: int = 1, *powers_w: float) -> Edge:
    known = meter(*powers_w)
    ledger = half_hour.read(half_hour.Ledger(), known)
    return Edge(known, base, [(START_UTC_S + n, BODY) for n in range(rows)], ledger)


@given(
    st.dictionaries(st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True), st.lists(st.floats(-9000, 9000))),
    st.integers(0, 3),
)
def test_every_point_is_there_again_as_it_was(points: dict[str, list[float]], rows: int) -> None:
    here = {id_: an_edge(len(powers_w), rows, *powers_w) for id_, powers_w in points.items()}
    saved = packed(here, {})
    assert unpacked({saved.key: saved.blob}) == here


def test_a_home_of_six_points_costs_one_page_of_the_disk() -> None:
    here = {f"asset-{n}": an_edge(1000 + n, 0, 1200.0 + n, 1300.0 - n) for n in range(6)}
    assert len(packed(here, {}).blob) < 1024 - 35  # SQLite's payload of a leaf


def test_a_point_that_is_not_configured_any_more_is_kept_and_a_bound_of_them() -> None:
    left = {f"old-{n}": an_edge(n) for n in range(LEFT_MAX + 5)}
    found = unpacked({KEY: packed({"ev": an_edge()}, left).blob})
    assert found.keys() == {"ev", *(f"old-{n}" for n in range(5, LEFT_MAX + 5))}
    again = unpacked({KEY: packed({"old-7": an_edge(99)}, left).blob})
    assert again["old-7"].base == 99, "what is configured is the newer"


def test_a_day_of_minutes_that_no_disk_took_is_read_again() -> None:
    here = {f"asset-{n}": an_edge(0, 1440, 1200.0) for n in range(8)}
    assert unpacked({KEY: packed(here, {}).blob}) == here


def test_what_is_damaged_is_nothing_and_harms_no_other() -> None:
    good = packed({"ev": an_edge(), "heat": an_edge(8)}, {}).blob
    assert unpacked({}) == unpacked({KEY: b"broken"}) == unpacked({KEY: good[: len(good) // 3]}) == {}
    blobs = codec.unpack(good, edge.WORDS)
    blobs[1] = b"[99,{}]"  # of a later version
    assert unpacked({KEY: codec.pack(blobs, edge.WORDS)}) == {"heat": an_edge(8)}
