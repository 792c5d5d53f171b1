"""What each asset drew over the window of each instruction: the registers at the window's two edges.

Kept on the disk too, so that a summary after a restart still knows the first edge.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import structlog

from gateway.core.metering import Grade, Reading
from gateway.core.model import Instruction
from gateway.daemon.store import PutMeta
from gateway.daemon.telling import Spent

log = structlog.get_logger()

KEY = "windows"
LATE_S = 120.0  # an edge seen later than this is not known
KEPT_MAX = 400  # 200 open instructions, two assets each
_WORST = (Grade.OK, Grade.ESTIMATED, Grade.MISSING, Grade.BAD)


@dataclass(slots=True)
class _Window:
    start_utc_s: float
    end_utc_s: float
    start_ws: float | None = None
    end_ws: float | None = None
    closed: bool = False
    grade: str = Grade.OK
    first_seq: int | None = None
    last_seq: int | None = None


class Windows:
    """One window for each instruction and asset that has begun."""

    def __init__(self, saved: bytes | None) -> None:
        self.energy_ws: Callable[[str], float | None] = lambda _point: None
        self.power_w: Callable[[str], float] = lambda _point: 0.0
        self.save: Callable[[PutMeta], object] = lambda _change: None
        self._windows = _loaded(saved) if saved else {}

    def track(self, instructions: tuple[Instruction, ...], utc_s: float) -> None:
        """Note what the registers say at the edges of these windows; one that is gone ends now."""
        changed = False
        for instruction in instructions:
            if utc_s < instruction.start_utc_s:
                continue
            for asset in instruction.scope.assets:
                changed |= self._tracked(instruction, asset, utc_s)
        known = {i.id for i in instructions}
        for (id_, asset), window in self._windows.items():
            if id_ not in known and not window.closed:
                self._close(window, asset, utc_s, utc_s)
                changed = True
        if changed:
            self.save(self._saved())

    def told(self, point: str, reading: Reading, seq: int) -> None:
        """A minute of a point went into its log."""
        changed = False
        for (_, asset), window in self._windows.items():
            if asset != point or not _overlap(reading, window):
                continue
            was = window.first_seq, window.grade
            window.first_seq = seq if window.first_seq is None else window.first_seq
            window.last_seq = seq
            window.grade = max(window.grade, reading.quality, key=lambda g: _WORST.index(Grade(g)))
            changed |= was != (window.first_seq, window.grade)
        if changed:
            self.save(self._saved())

    def spent(self, instruction: str, asset: str) -> Spent:
        """What an asset drew over an instruction's window. Asked once, then forgotten."""
        window = self._windows.pop((instruction, asset), None)
        self.save(self._saved())
        if window is None:
            return Spent()
        if window.start_ws is None or window.end_ws is None:
            return Spent(None, Grade.MISSING, window.first_seq, window.last_seq)
        grade = max(window.grade, Grade.ESTIMATED, key=lambda g: _WORST.index(Grade(g)))
        return Spent(round(window.end_ws - window.start_ws), grade, window.first_seq, window.last_seq)

    def _tracked(self, instruction: Instruction, asset: str, utc_s: float) -> bool:
        window = self._windows.get((instruction.id, asset))
        began = window is None
        if window is None:
            window = _Window(instruction.start_utc_s, instruction.end_utc_s)
            window.start_ws = self._at(asset, instruction.start_utc_s, utc_s)
            self._windows[instruction.id, asset] = window
            while len(self._windows) > KEPT_MAX:
                self._windows.pop(next(iter(self._windows)))
        window.end_utc_s = instruction.end_utc_s
        if utc_s >= instruction.end_utc_s and not window.closed:
            self._close(window, asset, instruction.end_utc_s, utc_s)
            return True
        return began

    def _close(self, window: _Window, asset: str, edge_utc_s: float, utc_s: float) -> None:
        window.closed = True
        window.end_utc_s = edge_utc_s
        window.end_ws = self._at(asset, edge_utc_s, utc_s)

    def _at(self, asset: str, edge_utc_s: float, utc_s: float) -> float | None:
        """The register at a moment just past, by the present power."""
        now_ws = self.energy_ws(asset)
        if now_ws is None or utc_s - edge_utc_s > LATE_S:
            return None
        return now_ws - self.power_w(asset) * (utc_s - edge_utc_s)

    def _saved(self) -> PutMeta:
        rows = [(id_, asset, asdict(window)) for (id_, asset), window in self._windows.items()]
        return PutMeta(KEY, json.dumps(rows).encode())


def _loaded(saved: bytes) -> dict[tuple[str, str], _Window]:
    """The windows of the earlier run; none if they cannot be read: their energies are MISSING then."""
    try:
        return {(id_, asset): _Window(**fields) for id_, asset, fields in json.loads(saved)}
    except (ValueError, TypeError) as error:
        log.error("windows of the earlier run cannot be read", error=str(error))
        return {}


def _overlap(reading: Reading, window: _Window) -> bool:
    ends = window.end_utc_s
    return reading.start_utc_s < ends and reading.end_utc_s > window.start_utc_s
