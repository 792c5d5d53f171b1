"""Registers and values are each other's inverse; what a device cannot mean is not believed."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import Quality
from drivers.modbus.block import blocks
from drivers.modbus.codec import decode_words, encode_words, sample_of
from drivers.modbus.frame import flaw
from drivers.profile import Access, Point, Table

RAW = {
    "bool": st.integers(0, 1),
    "uint8": st.integers(0, 255),
    "int8": st.integers(-128, 127),
    "uint16": st.integers(0, 2**16 - 1),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
}
ORDERS = st.sampled_from(["hi-lo", "lo-hi"])


def _point(**fields: object) -> Point:
    return Point.model_validate(
        {"table": "holding", "address": 0, "source": "x", "confidence": "seen"} | fields
    )


@given(
    st.sampled_from(sorted(RAW)).flatmap(lambda kind: st.tuples(st.just(kind), RAW[kind])),
    ORDERS,
    st.sampled_from([1, 0.1, 0.01, 10, 100, -1, 360_000]),
    st.sampled_from([0, -40, 25.5]),
)
def test_decode_is_the_inverse_of_encode_for_every_integer(
    raw: tuple[str, int], words: str, scale: float, offset: float
) -> None:
    point = _point(type=raw[0], words=words, scale=scale, offset=offset)
    value = round(raw[1] * scale + offset, 9)
    assert decode_words(point, encode_words(point, value)) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), ORDERS)
def test_decode_is_the_inverse_of_encode_for_every_float(value: float, words: str) -> None:
    point = _point(type="float32", words=words)
    assert decode_words(point, encode_words(point, value)) == value


@pytest.mark.parametrize(
    ("fields", "words", "value"),
    [
        ({"type": "int16", "scale": 0.1}, [0xFFD1], -4.7),
        ({"type": "uint16", "scale": 0.1}, [3], 0.3),
        ({"type": "int8"}, [0x00FB], -5),
        ({"type": "int8"}, [0xFFFB], -5),
        ({"type": "uint32"}, [0x0001, 0x86A0], 100_000),
        ({"type": "uint32", "words": "lo-hi"}, [0x86A0, 0x0001], 100_000),
        ({"type": "int32", "words": "lo-hi"}, [0xFFFE, 0xFFFF], -2),
        ({"type": "float32"}, list(struct.unpack(">HH", struct.pack(">f", 49.98))), pytest.approx(49.98)),
        ({"type": "float32"}, [0x7FC0, 0], None),
        ({"type": "int16", "sentinels": [-32768]}, [0x8000], None),
    ],
)
def test_registers_are_read_as_the_maker_writes_them(
    fields: dict[str, object], words: list[int], value: float | None
) -> None:
    assert decode_words(_point(**fields), words) == value


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"type": "uint16"}, -1),
        ({"type": "uint16"}, 65_536),
        ({"type": "uint16", "scale": 100}, 1_150),
        ({"type": "bool"}, 2),
        ({"type": "int16"}, float("nan")),
        ({"type": "float32"}, 1e39),
    ],
)
def test_what_the_register_cannot_say_is_not_written(fields: dict[str, object], value: float) -> None:
    with pytest.raises(ValueError, match=r"cannot be written|too large"):
        encode_words(_point(**fields), value)


def test_an_implausible_value_is_bad_and_an_unlisted_one_uncertain() -> None:
    room = sample_of(_point(type="int16", scale=0.1, min=-10, max=60), [9_000])
    assert (room.value, room.quality) == (None, Quality.BAD)
    assert room.reasons == ("implausible: 900",)
    assert sample_of(_point(type="bool"), [7]).quality is Quality.BAD
    mode = sample_of(_point(type="uint8", values={"off": 10}), [11])
    assert (mode.value, mode.quality) == (11, Quality.UNCERTAIN)


def test_a_point_above_a_threshold_is_a_claim() -> None:
    running = _point(type="uint16", above=0)
    assert [sample_of(running, [hz]).value for hz in (0, 48)] == [0, 1]


# --- grouping ---------------------------------------------------------------------------------------

PLACES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.builds(
        lambda table, address, kind: _point(table=table, address=address, type=kind),
        st.sampled_from(["holding", "input"]),
        st.integers(0, 60),
        st.sampled_from(["uint16", "uint32"]),
    ),
    max_size=12,
)


@given(PLACES, st.integers(2, 20), st.integers(0, 5))
def test_blocks_read_every_point_once_and_whole_within_the_devices_limits(
    points: dict[str, Point], max_block: int, max_gap: int
) -> None:
    access = Access(max_block=max_block, max_gap=max_gap, bands=((0, 9), (10, 61)), write="single")
    found = blocks(points, points, access)
    assert sorted(name for block in found for name in block.points) == sorted(points)
    for block in found:
        answer = list(range(block.address, block.address + block.count))
        assert block.count <= max_block
        for name in block.points:
            point = points[name]
            assert (point.table, point.count) == (block.table, len(block.words(point, answer)))
            assert block.words(point, answer)[0] == point.address
        starts = {points[name].address < 10 for name in block.points}
        assert len(starts) == 1, "crosses a band"


def test_neighbours_are_read_together_and_strangers_apart() -> None:
    points = {
        name: _point(address=address, type="uint16", table=table)
        for name, address, table in [
            ("a", 5, "holding"), ("b", 7, "holding"), ("c", 12, "holding"), ("d", 6, "input"),
        ]
    }  # fmt: skip
    found = blocks(points, points, Access(max_block=10, max_gap=1, write="single"))
    assert [(block.table, block.address, block.count) for block in found] == [
        (Table.HOLDING, 5, 3),
        (Table.HOLDING, 12, 1),
        (Table.INPUT, 6, 1),
    ]


# --- frames -----------------------------------------------------------------------------------------

ASKED = bytes.fromhex("0007 0000 0006 01 03 0064 0002")


@pytest.mark.parametrize(
    ("heard", "says"),
    [
        ("0007 0000 0007 01 03 04 0001 0002", None),
        ("0007 0000 0007 01 03 04 0001", None),  # more may come
        ("0006 0000 0005 01 03 02 0001", None),  # late: an earlier transaction
        ("0007 0000 0007 02 03 04 0001 0002", None),  # another unit's
        ("0007 0000 0003 01 83 02", None),
        ("0007 0000 0004 01 83 02 00", "an exception of 3 bytes"),
        ("0007 0000 0005 01 03 02 0001", "2 bytes of data"),
        ("0007 0000 0007 01 03 02 0001 0002", "said to be 02"),
        ("0007 0000 0007 01 04 04 0001 0002", "function 4 answers function 3"),
        ("0007 0001 0007 01 03 04 0001 0002", "protocol 1"),
        ("0007 0000 0001 01", "claims 1 bytes"),
        ("0007 0000 ffff 01", "claims 65535 bytes"),
        ("0006 0000 0003 01 83 02 0007 0000 0003 01 06 02", "function 6"),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_told_from_one_that_is_late(
    heard: str, says: str | None
) -> None:
    found = flaw(bytes.fromhex(heard), ASKED)
    assert found is None if says is None else says in (found or "")


def test_a_write_must_be_answered_with_the_same_register_and_value() -> None:
    asked = bytes.fromhex("0001 0000 0006 01 06 0046 0001")
    assert flaw(asked, asked) is None
    assert "another register" in (flaw(asked[:-1] + b"\0", asked) or "")
