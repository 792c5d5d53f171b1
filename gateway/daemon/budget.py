"""What leaves the disk when it holds too much: the oldest minutes first, a day at a time.

Their half-hours stay until no minutes are left to go: so the past is thinned before it is dropped. The last
day of everything stays.
"""

from __future__ import annotations

from gateway.daemon.store import DropRows, Size, Store
from gateway.daemon.uplog import kind_of

DAY_S = 86_400.0
ROOM_BYTES = 4 * 1024 * 1024  # less than this left on the disk and in the file: what is there must make room
ROUNDS_MAX = 100  # days dropped at once; 90 are kept
GOES = (("telemetry",), ("settlement",), ("status", "event"))


async def make_room(store: Store, most_bytes: int, utc_s: float) -> dict[str, float]:
    """Drop until the file holds no more than `most_bytes` and something still fits; by kind of log, before
    which UTC nothing is left.

    Raises:
        StorageError: the disk does not let go of anything.
    """
    dropped: dict[str, float] = {}
    for _ in range(ROUNDS_MAX):
        drops = to_drop(await store.size(), most_bytes, utc_s)
        if not drops:
            break
        await store.submit(*drops)
        dropped |= {kind_of(drop.log): drop.before_utc_s for drop in drops}
    return dropped


def to_drop(size: Size, most_bytes: int, utc_s: float) -> tuple[DropRows, ...]:
    """The oldest day of what goes first; nothing while there is room, or where only the last day is left."""
    if size.used_bytes <= most_bytes and size.room_bytes >= ROOM_BYTES:
        return ()
    last_day_utc_s = utc_s - DAY_S
    for kinds in GOES:
        old = {
            log: at for log, at in size.oldest_utc_s.items() if kind_of(log) in kinds and at < last_day_utc_s
        }
        if old:
            before_utc_s = min(min(old.values()) + DAY_S, last_day_utc_s)
            return tuple(DropRows(log, before_utc_s) for log in sorted(old))
    return ()
