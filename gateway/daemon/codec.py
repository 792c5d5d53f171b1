"""Stored records: one versioned table, and one encoding of frozen dataclasses to compact JSON bytes.

The types are read from the records' own annotations. Decoding is strict: a record that is not exactly
what a known version writes is refused, never half understood.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import struct
import types
import typing
import zlib
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple, cast, get_args, get_origin, get_type_hints

from gateway.core.charge_session import ChargeSession
from gateway.core.half_hour import Ledger
from gateway.core.life import Entry
from gateway.core.metering import Meter
from gateway.core.model import Memory

BLOB_MAX = 256 * 1024  # bytes of a pack when unpacked; ten times the largest written
_LENGTH = struct.Struct("<I")


class Unreadable(Exception):
    """Not a record of a version this program knows. Keep the bytes, go on without them, report it."""


RECORDS: dict[str, tuple[int, Any]] = {
    "memory": (18, Memory),
    "entry": (6, Entry),
    "meter": (3, Meter),
    "ledger": (1, Ledger),
    "chargeSession": (1, ChargeSession),
}
"""Name of a stored record -> its version and type. A change of the type's fields is a new version."""


def _with_charge(body: Any) -> Any:
    """Before cars and plugs had a memory of their own."""
    new = {
        "plugged": None, "typed": None, "takes_w": None, "too_empty": False, "too_full": False,
        "late_for_utc_s": None, "quiet_since_s": None, "tight_s": None,
    }  # fmt: skip
    return {
        **_each_asset(body, **new),
        "base_load": None,
        "overrides": [{**override, "charging": False} for override in body["overrides"]],
    }


def _with_measured(body: Any) -> Any:
    """Before a measured SoC was remembered, and what the last car drew."""
    new = {"measured": None, "told_s": None, "took_w": None, "free_since_s": None, "scheduled_since_s": None}
    return _each_asset(body, **new)


def _with_every_limit(body: Any) -> Any:
    """Before starts were counted, levels followed and base loads reckoned, and before a pause."""
    return {
        **_each_asset(body, moved_s=None, starts_s=[]),
        "reckoned": None,
        "overrides": [{**override, "paused": False} for override in body["overrides"]],
    }


def _with_water(body: Any) -> Any:
    """Before hot water had a minimum."""
    return _each_asset(body, water_cold=False)


def _with_turns(body: Any) -> Any:
    """Before what is off for the fuse waited, and what an asset drew when it was told was remembered."""
    return _each_asset(body, turn=None, starved_s=None, fed_s=None)


def _with_own_fuses(body: Any) -> Any:
    """Before an asset waited for its own fuses and not for what any of the home had left another."""
    rest = {key: value for key, value in body.items() if key != "supply_tight_s"}
    return _each_asset(rest, short_s=None)


def _with_heat(body: Any) -> Any:
    """Before frost and hygiene had their limits."""
    names = ("defrosted_s", "outdoor_c", "cycle_since_s", "hot_since_s", "clean_utc_s")
    return _each_asset(body, **dict.fromkeys(names))


def _with_blocks(body: Any) -> Any:
    """Before the blocks of a day were counted."""
    return _each_asset(body, blocks=[], dispatched_since_s=None)


def _with_cooling(body: Any) -> Any:
    """Before it was learnt how fast a room cools."""
    return _each_asset(body, fall=None, cools_k_s=None)


def _with_pace(body: Any) -> Any:
    """Before pauses of a charger had their pace."""
    return _each_asset(body, resumed_s=None)


def _with_aims(body: Any) -> Any:
    """Before a SoC could be asked for."""
    return _each_asset(body, aims=False)


def _with_falls(body: Any) -> Any:
    """Before a room's fall was learnt by how long it lasted; its mean of before says too little of that."""
    body = _each_asset(body, fall=None, falls_k=[])
    for _, asset in body["assets"]:
        del asset["cools_k_s"]
    return body


def _with_backup(body: Any) -> Any:
    """Before a hold knew of its backup heater, and how far its room had fallen."""
    return _each_asset(body, backup_s=None, began_c=None, chilled=False)


def _with_order(body: Any) -> Any:
    """Before it was remembered who gets power first."""
    return {**body, "order": [], "ordered_s": None}


def _with_edges(body: Any) -> Any:
    """Before an edge of a schedule had a random delay."""
    return _each_asset(body, waited_utc_s=None)


def _with_walls(body: Any) -> Any:
    """Before a room's fall was learnt from its walls and by the cold outside."""
    body = _each_asset(body, fall=None, falls=[], walls=None)
    for _, asset in body["assets"]:
        del asset["falls_k"]
    return body


def _with_raise(body: Any) -> Any:
    """Before what heats could be raised."""
    return _each_asset(body, raised=None)


def _with_vector(body: Any) -> Any:
    """Before an instruction said who carries it out, and a step what charge is to be reached."""
    return _each_step(body, {"soc": None}, vector="automated")


def _with_answer(body: Any) -> Any:
    """Before the household could accept what it is to do by hand."""
    return {**body, "agreed": False}


def _with_level(body: Any) -> Any:
    """Before a step could come of a level of SIMPLE."""
    return _each_step(body, {"level": None})


def _with_delays_of_its_own(body: Any) -> Any:
    """Before a charger's own random delay took the place of ours at an instruction's end."""
    return _each_step(body, {}, undelayed=[])


def _with_evidence(body: Any) -> Any:
    """Before it was kept what first showed that an asset follows."""
    return {**body, "lives": [{**life, "setting": None, "response": None} for life in body["lives"]]}


def _with_shift(body: Any) -> Any:
    """Before it was known how far a register is ahead of all that has flowed."""
    return {**body, "tracks": [{**track, "shift_ws": 0} for track in body["tracks"]]}


def _with_rhythm(body: Any) -> Any:
    """Before it was known how often a meter is heard."""
    return {**body, "every_s": None}


def _each_asset(body: Any, **new: Any) -> Any:
    """The memory with new fields in what it knows of each asset."""
    return {**body, "assets": [[id_, {**asset, **new}] for id_, asset in body["assets"]]}


def _each_step(body: Any, new: dict[str, Any], **of_all: Any) -> Any:
    """The entry with new fields in each step of its instruction, if it has one, and in that itself."""
    instruction = body["instruction"]
    if instruction is None:
        return body
    steps = [{**step, **new} for step in instruction["steps"]]
    return {**body, "instruction": {**instruction, **of_all, "steps": steps}}


UPGRADES: dict[tuple[str, int], Callable[[Any], Any]] = {
    ("memory", 1): _with_charge,
    ("memory", 2): _with_measured,
    ("memory", 3): _with_every_limit,
    ("memory", 4): _with_water,
    ("memory", 5): _with_turns,
    ("memory", 6): _with_own_fuses,
    ("memory", 7): _with_heat,
    ("memory", 8): _with_blocks,
    ("memory", 9): _with_cooling,
    ("memory", 10): _with_pace,
    ("memory", 11): _with_aims,
    ("memory", 12): _with_falls,
    ("memory", 13): _with_backup,
    ("memory", 14): _with_order,
    ("memory", 15): _with_edges,
    ("memory", 16): _with_walls,
    ("memory", 17): _with_raise,
    ("entry", 1): _with_vector,
    ("entry", 2): _with_answer,
    ("entry", 3): _with_level,
    ("entry", 4): _with_delays_of_its_own,
    ("entry", 5): _with_evidence,
    ("meter", 1): _with_shift,
    ("meter", 2): _with_rhythm,
}
"""Name and version of a record of an earlier program -> its body as the next version would have it."""


def encode(name: str, record: Any) -> bytes:
    """The record as bytes that begin with its version.

    Raises:
        TypeError: the record is not what its annotations say (a bug in who made it).
    """
    version, kind = RECORDS[name]
    return json.dumps([version, _codec(kind).encode(record)], separators=(",", ":")).encode()


def decode(name: str, blob: bytes) -> Any:
    """The record that `encode` was given.

    Raises:
        Unreadable: another version, damaged, or not this record.
    """
    version, kind = RECORDS[name]
    try:
        found, body = json.loads(blob)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"{name}: {error}") from error
    try:
        while found != version:
            if (upgrade := UPGRADES.get((name, found))) is None:
                raise Unreadable(f"{name}: version {found!r} is not known, this program reads {version}")
            found, body = found + 1, upgrade(body)
        return _codec(kind).decode(body)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Unreadable(f"{name}: {error}") from error


def pack(blobs: Iterable[bytes], words: bytes = b"", quantum: int = 1) -> bytes:
    """Several blobs in one, compressed: a quarter-hour of minutes is mostly the same words.

    `words` are those a short pack is known to consist of, the commonest last. The size is a multiple of
    `quantum`: a record that is written often costs the disk least where it keeps its size.
    """
    deflater = zlib.compressobj(6, zdict=words)
    packed = deflater.compress(b"".join(_LENGTH.pack(len(b)) + b for b in blobs)) + deflater.flush()
    return packed + bytes(-len(packed) % quantum)


def unpack(packed: bytes, words: bytes = b"", most: int = BLOB_MAX) -> list[bytes]:
    """The blobs that `pack` was given, with the same words.

    Raises:
        Unreadable: damaged, or larger than any pack we write.
    """
    try:
        inflater = zlib.decompressobj(zdict=words)
        rest = inflater.decompress(packed, most)
        if not inflater.eof:
            raise Unreadable("pack: cut off, or larger than any that is written")
        blobs = []
        while rest:
            (length,) = _LENGTH.unpack_from(rest)
            if len(rest) < _LENGTH.size + length:
                raise Unreadable("pack: cut off")
            blobs.append(rest[_LENGTH.size : _LENGTH.size + length])
            rest = rest[_LENGTH.size + length :]
    except (zlib.error, struct.error) as error:
        raise Unreadable(f"pack: {error}") from error
    return blobs


# --- one codec per type ---------------------------------------------------------------------------------


class _Codec(NamedTuple):
    """To JSON values and back; both raise TypeError or ValueError on what is not of the type."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


@functools.cache
def _codec(kind: Any) -> _Codec:
    if dataclasses.is_dataclass(kind):
        return _record(cast(type[Any], kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    if kind in (str, int, bool, float, types.NoneType):
        return _plain(kind)
    origin, of = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _union(of)
    if origin is tuple:
        return _tuple(of)
    if origin is frozenset:
        return _frozenset(_codec(of[0]))
    if origin in (Mapping, dict):
        return _mapping(_codec(of[0]), _codec(of[1]))
    raise TypeError(f"{kind} has no stored form")


def _plain(kind: type[Any]) -> _Codec:
    accepted = (int, float) if kind is float else (kind,)

    def checked(value: Any) -> Any:
        if type(value) not in accepted:
            raise TypeError(f"{value!r} is not {kind.__name__}")
        return value

    return _Codec(checked, checked)


def _enum(kind: type[Enum]) -> _Codec:
    def encode(member: Any) -> Any:
        if not isinstance(member, kind):
            raise TypeError(f"{member!r} is not {kind.__name__}")
        return member.value

    return _Codec(encode, kind)


def _record(kind: type[Any]) -> _Codec:
    hints = get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]

    # Fields are looked up when used: a record may hold its own kind.
    def encode(record: Any) -> dict[str, Any]:
        if type(record) is not kind:
            raise TypeError(f"{record!r} is not {kind.__name__}")
        return {name: _codec(hints[name]).encode(getattr(record, name)) for name in names}

    def decode(body: Any) -> Any:
        if not isinstance(body, dict) or body.keys() != set(names):
            raise ValueError(f"not the fields of {kind.__name__}")
        return kind(**{name: _codec(hints[name]).decode(body[name]) for name in names})

    return _Codec(encode, decode)


def _union(of: tuple[Any, ...]) -> _Codec:
    """`None` as itself; one other kind as itself; of several, each with its name."""
    kinds = {kind.__name__: kind for kind in of if kind is not types.NoneType}
    nullable = len(kinds) < len(of)
    if len(kinds) == 1:
        inner = _codec(next(iter(kinds.values())))
        return _optional(inner)

    def encode(value: Any) -> list[Any]:
        name = type(value).__name__
        return [name, _codec(kinds[name]).encode(value)]

    def decode(body: Any) -> Any:
        name, inner = body
        return _codec(kinds[name]).decode(inner)

    named = _Codec(encode, decode)
    return _optional(named) if nullable else named


def _optional(inner: _Codec) -> _Codec:
    return _Codec(
        lambda value: None if value is None else inner.encode(value),
        lambda body: None if body is None else inner.decode(body),
    )


def _tuple(of: tuple[Any, ...]) -> _Codec:
    if of[-1] is Ellipsis:
        item = _codec(of[0])
        return _Codec(
            lambda values: [item.encode(v) for v in _of(tuple, values)],
            lambda body: tuple(item.decode(v) for v in _of(list, body)),
        )
    items = [_codec(kind) for kind in of]
    return _Codec(
        lambda values: [item.encode(v) for item, v in zip(items, _of(tuple, values), strict=True)],
        lambda body: tuple(item.decode(v) for item, v in zip(items, _of(list, body), strict=True)),
    )


def _frozenset(item: _Codec) -> _Codec:
    return _Codec(
        lambda values: sorted(item.encode(v) for v in _of(frozenset, values)),
        lambda body: frozenset(item.decode(v) for v in _of(list, body)),
    )


def _mapping(key: _Codec, value: _Codec) -> _Codec:
    """As pairs: JSON's keys can only be text."""
    return _Codec(
        lambda found: [[key.encode(k), value.encode(v)] for k, v in _of(Mapping, found).items()],
        lambda body: {key.decode(k): value.decode(v) for k, v in _of(list, body)},
    )


def _of(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value
