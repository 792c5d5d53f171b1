"""The edge: each point as it stood when minutes were last sent, so that the next run goes on from there.

All points in one record: it is written each minute, and a disk writes whole blocks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from gateway.core.half_hour import Ledger
from gateway.core.metering import Meter
from gateway.daemon import codec
from gateway.daemon.store import PutMeta

log = structlog.get_logger()

KEY = "edge"
QUANTUM = 448  # bytes: twice that fits a page of the database
LEFT_MAX = 16  # points that are kept though they are not configured any more
UNPACKED_MAX = 8 * 1024 * 1024  # bytes: a day of minutes of a dozen points, that no disk took


@dataclass(frozen=True, slots=True)
class Edge:
    """One point: all its rows (UTC at the end, body) up to `base` are safe, `rows` follow."""

    meter: Meter
    base: int
    rows: list[tuple[float, bytes]]
    ledger: Ledger


def packed(here: Mapping[str, Edge], left: Mapping[str, Edge]) -> PutMeta:
    """The points that are configured, and the last of those that were."""
    kept = dict(list(left.items())[-LEFT_MAX:]) | dict(here)
    blobs = [blob for id_, edge in kept.items() for blob in _blobs(id_, edge)]
    return PutMeta(KEY, codec.pack(blobs, WORDS, QUANTUM))


def unpacked(saved: Mapping[str, bytes]) -> dict[str, Edge]:
    """What the earlier run left; nothing of what cannot be read."""
    if KEY not in saved:
        return {}
    try:
        blobs = codec.unpack(saved[KEY], WORDS, UNPACKED_MAX)
    except codec.Unreadable as error:
        log.error("minutes of the earlier run cannot be read", error=str(error))
        return {}
    found = {}
    for id_, *parts in zip(*[iter(blobs)] * 4, strict=False):
        try:
            found[id_.decode()] = _edge(*parts)
        except (codec.Unreadable, ValueError) as error:
            log.error(
                "minutes of the earlier run cannot be read",
                point=id_.decode(errors="replace"),
                error=str(error),
            )
    return found


def _blobs(id_: str, edge: Edge) -> tuple[bytes, bytes, bytes, bytes]:
    rows = json.dumps([edge.base, [(at_utc_s, body.decode()) for at_utc_s, body in edge.rows]])
    return (
        id_.encode(),
        codec.encode("meter", edge.meter),
        rows.encode(),
        codec.encode("ledger", edge.ledger),
    )


def _edge(meter: bytes, told: bytes, ledger: bytes) -> Edge:
    base, rows = json.loads(told)
    return Edge(
        codec.decode("meter", meter),
        base,
        [(at_utc_s, body.encode()) for at_utc_s, body in rows],
        codec.decode("ledger", ledger),
    )


# What an edge is made of, so that one of two minutes fits a page of the disk. Part of the stored format.
WORDS = (
    b'boundary[1,{"counts":[{"at_utc_s":1800000200.0,"total_ws":1,"register_ws":1},{"at_utc_s":1800000200.0,'
    b'"total_ws":0,"register_ws":null},null],"halves":[{"start_utc_s":1800000000.0,"starts":[{"total_ws":'
    b'1,"register_ws":1,"gap_s":0.5},null],"ends":[null,null],"covered_s":1760.0,"reasons":["edge"],'
    b'"revision":null,"revision":0,"told_edges":2,"told_edges":0}]}]'
    b'[0,[[1800000000.0,"{\\"seq\\":0,\\"start\\":\\"2026-11-23T17:00:37Z\\",\\"end\\":\\"2026-11-23T17:01:37Z\\",'
    b'\\"powerKw\\":0.383,\\"energyKwh\\":0.00,\\"importRegisterKwh\\":null,\\"exportRegisterKwh\\":null,'
    b'\\"lastKw\\":0.381,\\"lastAt\\":\\"2026-11-23T17:01:31Z\\",\\"source\\":\\"meter\\",\\"source\\":\\"device\\",'
    b'\\"method\\":\\"MEAN\\",\\"quality\\":\\"ESTIMATED\\",\\"quality\\":\\"OK\\",\\"reasons\\":[\\"edge\\"],\\"reasons\\":[],'
    b'\\"coverage\\":1.0,\\"limitKw\\":null,\\"dispatchIds\\":[],\\"governedBy\\":\\"none\\",\\"governedBy\\":\\"household\\",'
    b'\\"soc\\":null,\\"socAgeS\\":null,\\"socSource\\":null,\\"roomC\\":20.5,\\"roomAgeS\\":null}"]]]'
    b'[3,{"spec":{"source":"meter","max_w":60000.0,"fresh_s":20.0,"wait_s":1.5,"resolution_ws":null},'
    b'"anchor":{"mono_s":300.0,"utc_s":1800000200.0,"trusted":true},"offset_s":13,"open":{"start_s":293.0,'
    b'"start_utc_s":1800000193.0,"covered_s":6.5,"heard":true,"doubted":false,"heard_bad":false,'
    b'"powerless":false,"reasons":[]},"tracks":[{"flow_ws":0.0,"start_flow_ws":0.0,"read_ws":null,'
    b'"read_s":null,"read_flow_ws":0.0,"start_ws":null,"booked_ws":0,"gap_ws":null,"has_hole":false,'
    b'"suspect":null,"step_ws":3600,"shift_ws":0},{"flow_ws":0.0,"start_flow_ws":0.0,"read_ws":0,"read_s":299.5,'
    b'"read_flow_ws":0.0,"start_ws":0.0,"booked_ws":0,"gap_ws":null,"has_hole":false,"suspect":null,'
    b'"step_ws":0,"shift_ws":0}],"seen_s":299.5,"power_w":569.0,"every_s":1.0,"speaks_until_s":319.5,"last_w":569.0,'
    b'"last_at_s":299.5,"doubted":false,"silence":[],"due":[]}]'
)
