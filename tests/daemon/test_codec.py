"""Stored records come back as they were, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import IntEnum, StrEnum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.life import Entry, Life
from gateway.core.model import (
    AssetMemory,
    Instruction,
    Kind,
    Mark,
    Memory,
    Override,
    Scope,
    Step,
    Typed,
)  # fmt: skip
from gateway.daemon import codec
from gateway.daemon.codec import RECORDS, Unreadable, decode, encode, pack, unpack


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    weight: float


@dataclass(frozen=True, slots=True)
class Thorn:
    length: int


@dataclass(frozen=True, slots=True)
class Tree:
    """One of everything a record may hold."""

    colour: Colour
    size: Size | None
    leaves: tuple[Leaf, ...]
    best: Leaf | Thorn | None
    pair: tuple[int, str]
    tags: frozenset[str]
    by_size: Mapping[Size, tuple[float, ...]]
    note: str | None = None
    alive: bool = True
    branch: Tree | None = None


numbers = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)
leaves = st.builds(Leaf, st.text(), numbers)
trees = st.deferred(
    lambda: st.builds(
        Tree,
        colour=st.sampled_from(Colour),
        size=st.none() | st.sampled_from(Size),
        leaves=st.lists(leaves, max_size=3).map(tuple),
        best=st.none() | leaves | st.builds(Thorn, st.integers()),
        pair=st.tuples(st.integers(), st.text()),
        tags=st.frozensets(st.text(), max_size=3),
        by_size=st.dictionaries(st.sampled_from(Size), st.lists(numbers, max_size=2).map(tuple)),
        note=st.none() | st.text(),
        alive=st.booleans(),
        branch=st.none() | trees,
    )
)


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "RECORDS", {**RECORDS, "tree": (3, Tree)})


SAPLING = Tree(Colour.RED, None, (), None, (1, "a"), frozenset(), {})


@given(trees)
def test_decoding_is_the_inverse_of_encoding(tree: Tree) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "RECORDS", {"tree": (3, Tree)})
        found = decode("tree", encode("tree", tree))
    assert found == tree
    assert repr(found.colour) == repr(tree.colour)
    assert type(found.tags) is frozenset


def _any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type as the records' annotations name it, without NaN."""
    origin, of = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return st.builds(kind, **{name: st.deferred(_later(hint)) for name, hint in _fields(kind).items()})
    if kind is float:
        return numbers
    if origin in (Union, UnionType):
        return st.one_of([_any_of(one) for one in of])
    if origin is tuple and of[-1] is Ellipsis:
        return st.lists(_any_of(of[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_any_of, of))
    if origin is frozenset:
        return st.frozensets(_any_of(of[0]), max_size=2)
    if origin is Mapping:
        return st.dictionaries(_any_of(of[0]), _any_of(of[1]), max_size=2)
    return st.from_type(kind)


def _fields(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _later(hint: Any) -> Callable[[], st.SearchStrategy[Any]]:
    return lambda: _any_of(hint)


@pytest.mark.parametrize("name", RECORDS)
@settings(max_examples=50)  # a record has a hundred fields and more
@given(st.data())
def test_every_stored_record_comes_back_as_it_was(name: str, data: st.DataObject) -> None:
    record = data.draw(_any_of(RECORDS[name][1]))
    assert decode(name, encode(name, record)) == record


def test_a_record_begins_with_its_version_and_is_compact() -> None:
    blob = encode("tree", SAPLING)
    assert blob.startswith(b'[3,{"colour":"red","size":null')
    assert b" " not in blob


def test_another_version_is_refused_by_name() -> None:
    blob = encode("tree", SAPLING).replace(b"[3,", b"[4,", 1)
    with pytest.raises(Unreadable, match="tree: version 4 is not known, this program reads 3"):
        decode("tree", blob)


VERSION, BODY = json.loads(encode("memory", Memory()))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"7",
        b"[1]",
        b"[1,2,3]",
        b"[1,null]",
        b"[1,[]]",
        encode("memory", Memory())[:-3],
        json.dumps([VERSION, {**BODY, "more": 1}]).encode(),
        json.dumps([VERSION, {k: v for k, v in BODY.items() if k != "at_s"}]).encode(),
        json.dumps([VERSION, {**BODY, "at_s": "1"}]).encode(),
        json.dumps([VERSION, {**BODY, "at_s": True}]).encode(),
        json.dumps([VERSION, {**BODY, "overrides": {"a": 1}}]).encode(),
        json.dumps([VERSION, {**BODY, "assets": [["hp"]]}]).encode(),
        json.dumps([VERSION, {**BODY, "assets": [[["hp"], {}]]}]).encode(),
    ],
)
def test_what_is_not_the_record_is_unreadable_and_nothing_else(blob: bytes) -> None:
    with pytest.raises(Unreadable, match="memory"):
        decode("memory", blob)


WRITTEN_BY_VERSION_1 = (
    b'[1,{"at_s":7.0,"assets":[["hp",{"running":true,"running_since_s":1.0,"held_w":0,"held_since_s":2.0,'
    b'"let_go_s":null,"held_s":3.0,"too_cold":false,"too_warm":true}]],"overrides":[{"asset":"hp",'
    b'"until_s":9.0}],"supply_tight_s":null,"latest_end_s":[["i1/0",8.0]]}]'
)


def test_a_memory_of_the_version_before_is_read_and_nothing_is_made_up() -> None:
    memory = decode("memory", WRITTEN_BY_VERSION_1)
    assert memory == Memory(
        at_s=7.0,
        assets={"hp": AssetMemory(True, 1.0, 0, 2.0, None, 3.0, too_warm=True)},
        overrides=(Override("hp", 9.0),),
        latest_end_s={"i1/0": 8.0},
    )


def test_an_instruction_from_before_it_said_who_carries_it_out_is_automated() -> None:
    step = Step(1.0, 2.0, Kind.CAP, 1400)
    instruction = Instruction("i1", 0, "bm", "response", 0, 0.5, Scope(("site",), ("ev",), True), (step,))
    entry = Entry("i1", 0, "ab", 0.5, 1.5, instruction=instruction)
    _, body = json.loads(encode("entry", entry))
    del body["instruction"]["vector"], body["instruction"]["steps"][0]["soc"], body["agreed"]
    del body["instruction"]["steps"][0]["level"], body["instruction"]["undelayed"]
    assert decode("entry", json.dumps([1, body]).encode()) == entry
    _, stop = json.loads(encode("entry", replace(entry, instruction=None)))
    del stop["agreed"]
    assert decode("entry", json.dumps([1, stop]).encode()) == replace(entry, instruction=None)


def test_an_instruction_from_before_hands_could_accept_it_is_not_accepted() -> None:
    entry = Entry("i1", 0, "ab", 0.5, 1.5)
    _, body = json.loads(encode("entry", entry))
    del body["agreed"]
    assert decode("entry", json.dumps([2, body]).encode()) == entry


def test_an_instruction_from_before_levels_came_of_none() -> None:
    step = Step(1.0, 2.0, Kind.CAP, 1400)
    instruction = Instruction("i1", 0, "bm", "response", 0, 0.5, Scope(("site",), ("ev",), True), (step,))
    entry = Entry("i1", 0, "ab", 0.5, 1.5, instruction=instruction)
    _, body = json.loads(encode("entry", entry))
    del body["instruction"]["steps"][0]["level"], body["instruction"]["undelayed"]
    assert decode("entry", json.dumps([3, body]).encode()) == entry


def test_an_instruction_from_before_a_charger_could_wait_itself_delays_all() -> None:
    step = Step(1.0, 2.0, Kind.CAP, 1400)
    instruction = Instruction("i1", 0, "bm", "response", 0, 0.5, Scope(("site",), ("ev",), True), (step,))
    entry = Entry("i1", 0, "ab", 0.5, 1.5, instruction=instruction)
    _, body = json.loads(encode("entry", entry))
    del body["instruction"]["undelayed"]
    assert decode("entry", json.dumps([4, body]).encode()) == entry


def test_an_instruction_from_before_evidence_was_kept_has_none() -> None:
    entry = Entry("i1", 0, "ab", 0.5, 1.5, lives=(Life("ev", followed_utc_s=7.0),))
    _, body = json.loads(encode("entry", entry))
    del body["lives"][0]["setting"], body["lives"][0]["response"]
    assert decode("entry", json.dumps([5, body]).encode()) == entry


WRITTEN_BY_VERSION_2 = (
    b'[2,{"at_s":7.0,"assets":[["ev",{"running":true,"running_since_s":1.0,"held_w":0,"held_since_s":2.0,"'
    b'let_go_s":null,"held_s":0.0,"too_cold":false,"too_warm":false,"plugged":{"at_s":3.0,"register_ws":4,'
    b'"source":"c.import_ws"},"typed":{"soc":0.5,"mark":{"at_s":5.0,"register_ws":null,"source":""}},"take'
    b's_w":3600,"too_empty":false,"too_full":false,"late_for_utc_s":6.0,"quiet_since_s":null,"tight_s":nul'
    b'l}]],"overrides":[],"supply_tight_s":null,"latest_end_s":[],"base_load":null}]'
)


def test_a_memory_from_before_a_measured_charge_was_kept_is_read() -> None:
    plugged, typed = Mark(3.0, 4, "c.import_ws"), Typed(0.5, Mark(5.0))
    car = AssetMemory(True, 1.0, 0, 2.0, plugged=plugged, typed=typed, takes_w=3600, late_for_utc_s=6.0)
    assert decode("memory", WRITTEN_BY_VERSION_2) == Memory(7.0, {"ev": car})


OUTSIDE = ("defrosted_s", "outdoor_c", "cycle_since_s", "hot_since_s", "clean_utc_s")
BLOCKS = ("blocks", "dispatched_since_s")
COOLING = ("fall", "falls", "walls")
EDGES = ("waited_utc_s", 16)
BACKUP = (("backup_s", 14), ("began_c", 14), ("chilled", 14))


@pytest.mark.parametrize(
    ("version", "unknown"),
    [
        (4, ("water_cold", "turn", "starved_s", "fed_s", "short_s", *OUTSIDE, *BLOCKS, *COOLING)),
        (5, ("turn", "starved_s", "fed_s", "short_s", *OUTSIDE, *BLOCKS, *COOLING)),
        (6, ("short_s", *OUTSIDE, *BLOCKS, *COOLING)),
        (7, (*OUTSIDE, *BLOCKS, *COOLING)),
        (8, (*BLOCKS, *COOLING)),
        (9, COOLING),
        (10, ()),
        (11, ()),
        (12, ()),
        (13, ()),
        (14, ()),
        (15, ()),
        (16, ()),
        (17, ()),
    ],
)
def test_a_memory_of_a_version_that_knew_less_is_read(version: int, unknown: tuple[str, ...]) -> None:
    memory = Memory(7.0, {"ev": AssetMemory(held_w=0, held_since_s=2.0, starts_s=(1.0,), tight_s=6.0)})
    _, body = json.loads(encode("memory", memory))
    if version < 7:
        body["supply_tight_s"] = 6.0
    if version < 15:
        del body["order"], body["ordered_s"]
    asset = body["assets"][0][1]
    learnt_later = (("resumed_s", 11), ("aims", 12), *BACKUP, EDGES, ("raised", 18))
    newer = [name for name, since in learnt_later if version < since]
    for name in (*unknown, *newer):
        del asset[name]
    if 10 <= version < 17:  # what it had learnt of the room is not understood any more
        del asset["falls"], asset["walls"]
        learnt = {"cools_k_s": 1e-4} if version < 13 else {"falls_k": [0.4, 0.7]}
        asset |= {**learnt, "fall": {"at_s": 1.0, "room_c": 20.0}}
    assert decode("memory", json.dumps([version, body]).encode()) == memory


@pytest.mark.parametrize("old", [b'"held_w":0', b'"overrides":', b'"until_s":9.0', b'"assets":[["hp",'])
def test_a_damaged_memory_of_the_version_before_is_unreadable(old: bytes) -> None:
    with pytest.raises(Unreadable, match="memory"):
        decode("memory", WRITTEN_BY_VERSION_1.replace(old, old.replace(b'"', b'"x', 1), 1))


@given(st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_bytes_raise_anything_but_unreadable(blob: bytes | str) -> None:
    try:
        decode("memory", blob if isinstance(blob, bytes) else blob.encode())
    except Unreadable:
        return
    raise AssertionError("that was no memory")


def test_a_record_that_is_not_what_it_says_is_not_written() -> None:
    with pytest.raises(TypeError, match="'soon' is not float"):
        encode("memory", Memory(at_s="soon"))  # type: ignore[arg-type]


def test_an_unknown_enum_member_is_unreadable() -> None:
    blob = encode("tree", SAPLING).replace(b'"red"', b'"green"')
    with pytest.raises(Unreadable, match="green"):
        decode("tree", blob)


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_unpacking_is_the_inverse_of_packing(blobs: list[bytes]) -> None:
    assert unpack(pack(blobs)) == blobs


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=5), st.data())
def test_a_pack_that_is_cut_off_is_unreadable(blobs: list[bytes], data: st.DataObject) -> None:
    packed = pack(blobs)
    with pytest.raises(Unreadable):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


def test_a_pack_larger_than_any_we_write_is_not_unpacked() -> None:
    with pytest.raises(Unreadable, match="larger"):
        unpack(pack([bytes(codec.BLOB_MAX + 1)]))


def test_every_type_in_the_table_has_a_stored_form() -> None:
    for name, (version, kind) in RECORDS.items():
        assert version >= 1
        with pytest.raises(TypeError, match="is not"):
            encode(name, object())
        assert isinstance(kind, type)
