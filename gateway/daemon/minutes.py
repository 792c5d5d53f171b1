"""The minutes of this home: each point's samples to its meter, each cut to its log, with who governed.

A point is an asset with a power source, or `boundary`. What limits held an asset, and which instructions
it was on, is noted at each decision and told with the minute.

Before a minute is sent, the `edge` is on the disk: each meter as it stood at the minute's end, and the
minutes nobody else holds yet. So a crash neither loses a minute nor tells its energy twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from gateway.core import charging, half_hour, metering, share
from gateway.core.bind import FIELDS, bind
from gateway.core.half_hour import HalfHour, Ledger
from gateway.core.metering import Anchor, Flowed, Meter, Sample, Spec
from gateway.core.model import TYPED, Asset, AssetClass, Governor, Plan, Point, Quality, Snapshot
from gateway.core.model import Reading as Charged
from gateway.daemon import edge
from gateway.daemon.clock import Clock
from gateway.daemon.edge import Edge
from gateway.daemon.home import Home
from gateway.daemon.outbox import Outbox
from gateway.daemon.store import PutMeta
from gateway.daemon.windows import Windows
from gateway.wire.message import encode
from gateway.wire.readings import DataQuality, Flaw, MinuteReading, Source

log = structlog.get_logger()

BOUNDARY = "boundary"
NOTES_MAX = 256  # changes of who governs that one interval can tell apart
IDS_MAX = 64  # instructions that one minute names; the oldest go first
MARGIN = 2.0  # a sample above so many times the nominal power is implausible
ASSET_FRESH_S = 90.0  # a heat pump is polled each 30 s or slower
LATE_S = 60.0  # a row made so long after its minute does not know the room of then
HALF_HOURS_MAX = 48  # of a point told at once
HOME_MAX_W = 60_000.0  # three phases of 80 A


@dataclass(frozen=True, slots=True)
class Note:
    """Who governed an asset from a moment on, what it was held to, and by which instructions."""

    since_s: float
    governor: Governor = Governor.NONE
    at_most_w: int | None = None
    dispatch_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class _Point:
    id: str
    power: tuple[str, ...]
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    meter: Meter
    ledger: Ledger
    asset: Asset | None = None
    notes: list[Note] = field(default_factory=list)
    ready: list[tuple[metering.Reading, bytes]] = field(default_factory=list)  # for `put`

    @property
    def log(self) -> str:
        return f"telemetry:{self.id}"

    def take(self, note: Note) -> None:
        """Take a note that says something new."""
        if not self.notes or replace(self.notes[-1], since_s=note.since_s) != note:
            self.notes = [*self.notes[-NOTES_MAX:], note]

    def forget_notes(self) -> None:
        """Drop what the open interval can no longer need: all but the note it began under."""
        older = [note for note in self.notes if note.since_s <= self.meter.open.start_s]
        self.notes = self.notes[max(0, len(older) - 1) :]


class Minutes:
    """All telemetry points of the home."""

    def __init__(
        self,
        home: Home,
        outbox: Outbox,
        clock: Clock,
        windows: Windows,
        offset_s: int,
        saved: Mapping[str, bytes],
    ) -> None:
        self.offset_s = offset_s
        self.wake: Callable[[], None] = lambda: None  # a minute's end is known, before `wait_s` is over
        self._home = home
        self._outbox = outbox
        self._clock = clock
        self._windows = windows
        self._left = edge.unpacked(saved)  # of points that are not configured now
        self._points = {point.id: point for point in self._made()}
        self._unsettled: dict[str, Ledger] = {}  # each point's, before half-hours were told
        self._socs: dict[str, tuple[float, Charged]] = {}  # as last decided on, and when

    def reconfigure(self) -> None:
        """Points as the configuration now has them; one that did not change goes on."""
        self.put()
        former = {id_: self._edge(point) for id_, point in self._points.items()}
        made = {point.id: point for point in self._made()}
        self._left |= {id_: one for id_, one in former.items() if id_ not in made}
        for id_, was in self._points.items():
            now = made.get(id_)
            if now and (now.power, now.imports, now.exports) == (was.power, was.imports, was.exports):
                now.meter, now.ledger = replace(was.meter, spec=now.meter.spec), was.ledger
                now.notes = was.notes
        self._points = made

    def logs(self) -> tuple[str, ...]:
        """The names of the logs that minutes go to."""
        return tuple(point.log for point in self._points.values())

    def settlement_logs(self) -> tuple[str, ...]:
        """The names of the logs that half-hours go to."""
        return tuple(f"settlement:{id_}" for id_ in self._points)

    def wait_s(self) -> float:
        """How long until a minute can be cut."""
        dues = [metering.due_s(point.meter) for point in self._points.values()]
        return max(0.0, min(dues, default=60.0) - self._clock.monotonic_s())

    def points(self, latest: Mapping[str, Point]) -> None:
        """Values just read: a sample for each telemetry point they feed."""
        for point in self._points.values():
            sample = self._sample(point, latest)
            if sample:
                point.meter = metering.feed(point.meter, sample)
                if point.meter.anchor.trusted:
                    point.ledger = half_hour.read(point.ledger, point.meter)
                    if point.meter.due:
                        self.wake()

    def note(self, snapshot: Snapshot, plan: Plan) -> None:
        """Who governs from now on, and how full cars are."""
        cars = [asset for asset in snapshot.assets if asset.asset_class is AssetClass.EV]
        found = {car.id: soc for car in cars if (soc := charging.soc(snapshot, car))}
        self._socs = {id_: (snapshot.now_s, soc) for id_, soc in found.items()}
        if boundary := self._points.get(BOUNDARY):
            boundary.take(Note(snapshot.now_s, dispatch_ids=share.by_hand(snapshot)))
        for asset in snapshot.assets:
            point, setpoint = self._points.get(asset.id), plan.setpoint(asset.id)
            if point and setpoint:
                ids = tuple(g.instruction for g in plan.given if g.asset == asset.id)
                point.take(Note(snapshot.now_s, setpoint.governor, setpoint.at_most_w, ids))

    def cut(self) -> bool:
        """Make rows of the minutes that have ended; whether there are any. Then save `edge`, then `put`."""
        anchor = self._anchor()
        for point in self._points.values():
            point.meter, told = metering.cut(point.meter, anchor.mono_s, anchor, self.offset_s)
            for reading in told:
                point.ledger = half_hour.told(point.ledger, point.meter, reading)
            point.ready += [(r, encode(self._row(point, r))) for r in told]
            if not point.meter.due:
                point.forget_notes()
        # All points' minutes go in one message: the first to be cut waits for the others, 1.5 s at most.
        ends_s = [metering.end_s(point.meter) for point in self._points.values()]
        is_whole = min(ends_s, default=math.inf) > anchor.mono_s
        return is_whole and any(point.ready for point in self._points.values())

    def edge(self) -> Iterable[PutMeta]:
        """What the next run needs to go on from here; nothing while the clock is not trusted."""
        if self._clock.trusted:
            here = {id_: self._edge(point) for id_, point in self._points.items()}
            yield edge.packed(here, self._left)

    def _edge(self, point: _Point) -> Edge:
        tail = self._outbox.tail(point.log)
        base = tail[0].seq - 1 if tail else self._outbox.last(point.log)
        rows = [(row.at_utc_s, row.body) for row in tail]
        rows += [(reading.end_utc_s, body) for reading, body in point.ready]
        return Edge(point.meter, base, rows, point.ledger)

    def put(self) -> None:
        """Give the rows that were made to their logs."""
        now_s = self._clock.monotonic_s()
        for point in self._points.values():
            for reading, body in point.ready:
                seq = self._outbox.add(point.log, reading.end_utc_s, body, now_s)
                self._windows.told(point.id, reading, seq)
            point.ready = []

    def half_hours(
        self, utc_s: float, lag_s: float, since_utc_s: float
    ) -> Mapping[str, tuple[HalfHour, ...]]:
        """The half-hours that are due, by point (see `half_hour.due`), a day of each at most."""
        found = {
            id_: half_hour.due(point.ledger, utc_s, lag_s, since_utc_s, point.meter.spec.source)
            for id_, point in self._points.items()
        }
        return {id_: rows[:HALF_HOURS_MAX] for id_, rows in found.items() if rows}

    def settle(self, found: Mapping[str, tuple[HalfHour, ...]], utc_s: float) -> None:
        """These half-hours are told: `edge` says so from now on. Until they are safe, `unsettle` is the way
        back."""
        for id_, rows in found.items():
            point = self._points[id_]
            self._unsettled[id_] = point.ledger
            point.ledger = half_hour.settled(point.ledger, rows, utc_s)

    def unsettle(self, found: Mapping[str, tuple[HalfHour, ...]]) -> None:
        """These half-hours could not be told."""
        for id_, rows in found.items():
            if point := self._points.get(id_):
                point.ledger = half_hour.untold(point.ledger, rows, self._unsettled[id_])

    def energy_ws(self, point: str) -> float | None:
        """What has flowed at a point in all, up to now: only differences mean anything."""
        found = self._points.get(point)
        if found is None or found.meter.seen_s is None:
            return None
        return metering.flowed_ws(found.meter, self._clock.monotonic_s())

    def flowed(self, point: str) -> Flowed | None:
        """The same, and whether its register counts it."""
        found = self._points.get(point)
        return metering.flowed(found.meter, self._clock.monotonic_s()) if found else None

    def power_w(self, point: str) -> float:
        """The last power of a point, 0 if it has none."""
        found = self._points.get(point)
        return (found.meter.power_w or 0.0) if found else 0.0

    # --- how a point is made and read -------------------------------------------------------------------

    def _made(self) -> Iterable[_Point]:
        config = self._home.config
        if boundary := config.boundary:
            spec = Spec(metering.Source.METER, max_w=HOME_MAX_W)
            sources = (boundary.power_w, boundary.import_ws, boundary.export_ws)
            yield _Point(BOUNDARY, *sources, *self._meter(BOUNDARY, spec))
        for asset in config.assets:
            if power := asset.sources.get("power_w"):
                source = metering.Source(config.sections[asset.id].metered_by)
                spec = Spec(source, max_w=MARGIN * asset.nominal_w, fresh_s=ASSET_FRESH_S)
                imports = asset.sources.get("import_ws", ())
                yield _Point(asset.id, power, imports, (), *self._meter(asset.id, spec), asset)

    def _meter(self, id_: str, spec: Spec) -> tuple[Meter, Ledger]:
        """The meter and the ledger of an earlier run, whose last minutes are sent and whose loss is told; or
        new ones."""
        now_s, anchor = self._clock.monotonic_s(), self._anchor()
        log, left = f"telemetry:{id_}", self._left.pop(id_, None)
        if left is None:
            self._outbox.fill(log, (), now_s)
            return metering.begin(spec, now_s, anchor, self.offset_s), Ledger()
        known = max(0, self._outbox.last(log) - left.base)  # rows that reached the disk as well
        self._outbox.resume_at(log, left.base)
        self._outbox.fill(log, left.rows[known:], now_s)
        meter = metering.resume(replace(left.meter, spec=spec), now_s, anchor, self.offset_s)
        return meter, left.ledger

    def _sample(self, point: _Point, latest: Mapping[str, Point]) -> Sample | None:
        """The values of this batch that feed the point, from the sources it is bound to now."""
        now_s = self._clock.monotonic_s()
        chosen = {
            "power_w": self._bound(point.power, now_s),
            "import_ws": self._first_known(point.imports),
            "export_ws": self._first_known(point.exports),
        }
        here = {name: latest[source] for name, source in chosen.items() if source and source in latest}
        if not here:
            return None
        worst = max((p.quality for p in here.values()), key=_SEVERITY.index)
        return Sample(
            at_s=max(p.at_s for p in here.values()),
            power_w=here["power_w"].value if "power_w" in here else None,
            import_ws=_whole(here.get("import_ws")),
            export_ws=_whole(here.get("export_ws")),
            quality=worst,
            reasons=tuple(sorted({reason for p in here.values() for reason in p.reasons})),
        )

    def _bound(self, sources: tuple[str, ...], now_s: float) -> str | None:
        """The source that feeds now; where all are bad or stale the first one seen, to tell why."""
        reading = bind(self._home.latest, sources, FIELDS["power_w"], now_s).reading
        return reading.source if reading else self._first_known(sources)

    def _first_known(self, sources: tuple[str, ...]) -> str | None:
        return next((source for source in sources if source in self._home.latest), None)

    def _anchor(self) -> Anchor:
        return Anchor(self._clock.monotonic_s(), self._clock.utc_s(), self._clock.trusted)

    # --- rows -------------------------------------------------------------------------------------------

    def _row(self, point: _Point, reading: metering.Reading) -> MinuteReading:
        note = _longest(point.notes, reading.start_s, reading.end_s)
        ids = _ids(point.notes, reading.start_s, reading.end_s)
        is_late = self._clock.monotonic_s() - reading.end_s > LATE_S
        room = None if is_late else self._room(point.asset)
        soc_s, soc = (0.0, None) if is_late else self._socs.get(point.id, (0.0, None))
        return MinuteReading(
            seq=0,
            start_utc_s=reading.start_utc_s,
            end_utc_s=reading.end_utc_s,
            power_w=reading.power_w,
            energy_ws=reading.energy_ws,
            gap_ws=reading.gap_ws,
            import_register_ws=reading.import_register_ws,
            export_register_ws=reading.export_register_ws,
            last_w=reading.last_w,
            last_utc_s=reading.last_at_utc_s,
            source=Source(reading.source),
            quality=DataQuality(reading.quality),
            reasons=tuple(Flaw(reason) for reason in reading.reasons),
            coverage=reading.coverage,
            limit_w=note.at_most_w,
            dispatch_ids=ids,
            governed_by=note.governor,
            soc=soc.value if soc else None,
            soc_age_s=self._clock.monotonic_s() - soc_s + soc.age_s if soc else None,
            soc_source=soc_source(soc) if soc else None,
            room_c=room.value if room and room.value is not None else None,
            room_age_s=self._clock.monotonic_s() - room.at_s if room else None,
        )

    def _room(self, asset: Asset | None) -> Point | None:
        if asset is None:
            return None
        reading = bind(
            self._home.latest,
            asset.sources.get("room_c", ()),
            FIELDS["room_c"],
            self._clock.monotonic_s(),
        ).reading
        return self._home.latest[reading.source] if reading else None


def soc_source(soc: Charged) -> str:
    """Where a SoC is from, in the contract's words."""
    return "manual" if soc.source == TYPED else "device"


_SEVERITY = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD)


def _whole(point: Point | None) -> int | None:
    return round(point.value) if point and point.value is not None else None


def _spans(notes: list[Note], start_s: float, end_s: float) -> Iterable[tuple[Note, float]]:
    """Each note that held inside [start, end), and for how long."""
    for index, note in enumerate(notes):
        until_s = notes[index + 1].since_s if index + 1 < len(notes) else end_s
        held_s = min(until_s, end_s) - max(note.since_s, start_s)
        if held_s > 0:
            yield note, held_s


def _longest(notes: list[Note], start_s: float, end_s: float) -> Note:
    """Who governed the longest, with what it held to the longest."""
    seconds: dict[tuple[Governor, int | None], float] = {}
    for note, held_s in _spans(notes, start_s, end_s):
        key = (note.governor, note.at_most_w)
        seconds[key] = seconds.get(key, 0.0) + held_s
    if not seconds:
        return Note(start_s)
    governor, at_most_w = max(seconds, key=lambda key: seconds[key])
    return Note(start_s, governor, at_most_w)


def _ids(notes: list[Note], start_s: float, end_s: float) -> tuple[str, ...]:
    found = [id_ for note, _ in _spans(notes, start_s, end_s) for id_ in note.dispatch_ids]
    return tuple(dict.fromkeys(found))[-IDS_MAX:]
