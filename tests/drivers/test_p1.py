"""The P1 decoder against telegrams of real meters, and against damage."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.han.p1 import LONGEST_TELEGRAM_BYTES, P1Decoder, Telegram
from tests.drivers.fuzz_p1 import fuzz_p1
from tests.fakes.p1 import restamped, sealed

HAN = Path(__file__).parents[1] / "recordings" / "han"
EXPECTED: list[dict[str, Any]] = json.loads((HAN / "expected.json").read_text())
SINGLE = [e for e in EXPECTED if e["format"] != "p1-stream" and e["crc_ok"] is not False]
STREAMS = [e for e in EXPECTED if e["format"] == "p1-stream"]
ISKRA = (HAN / "p1_nl_dsmr50_iskra_1ph.txt").read_bytes()
LANDIS = (HAN / "p1_se_landisgyr_e360_export.txt").read_bytes()  # ends on its check sum, no line end
DSMR22 = (HAN / "p1_nl_dsmr22_nocrc.txt").read_bytes()
EASYMETER = (HAN / "d0_de_easymeter_q3d_b.txt").read_bytes()


def decoded(data: bytes) -> list[Telegram]:
    decoder = P1Decoder()
    return decoder.feed(data) + decoder.idle()


def only(data: bytes) -> Telegram:
    (telegram,) = decoded(data)
    return telegram


def telegram_of(*lines: bytes, ident: bytes = b"/XXX5TEST") -> bytes:
    return sealed(b"\r\n".join((ident, b"", *lines, b"!")))


def utc(telegram: Telegram) -> str | None:
    if telegram.meter_utc_s is None:
        return None
    return datetime.fromtimestamp(telegram.meter_utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- real meters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", SINGLE, ids=lambda e: e["file"])
def test_a_real_telegram_means_what_its_meter_meant(expected: dict[str, Any]) -> None:
    telegram = only((HAN / expected["file"]).read_bytes())
    assert telegram.power_import_w == expected["power_import_w"]
    assert telegram.power_export_w == expected["power_export_w"]
    assert telegram.net_power_w == expected["net_power_w"]
    assert telegram.import_wh == pytest.approx(expected["energy_import_wh"], abs=1e-3)
    assert telegram.export_wh == pytest.approx(expected["energy_export_wh"], abs=1e-3)
    assert utc(telegram) == expected["meter_time_utc"]
    assert telegram.checked == expected["crc_ok"]


@pytest.mark.parametrize("expected", STREAMS, ids=lambda e: e["file"])
@pytest.mark.parametrize("piece_bytes", [1, 17, 100_000])
def test_a_real_stream_gives_every_sound_telegram_in_order(
    expected: dict[str, Any], piece_bytes: int
) -> None:
    decoder, data = P1Decoder(), (HAN / expected["file"]).read_bytes()
    pieces = [data[i : i + piece_bytes] for i in range(0, len(data), piece_bytes)]
    telegrams = [telegram for piece in pieces for telegram in decoder.feed(piece)]
    assert len(telegrams) >= expected.get("telegrams_min", expected["telegrams"])
    assert [t.net_power_w for t in telegrams] == expected["sequence_net_power_w"]
    assert decoder.counters.bad_crc + decoder.counters.cut >= expected.get("rejected_min", 0)
    if times := expected.get("sequence_meter_time_utc"):
        assert [utc(t) for t in telegrams] == times


def test_the_dirty_stream_is_counted_by_what_was_wrong() -> None:
    decoder = P1Decoder()
    decoder.feed((HAN / "stream_p1_dirty.bin").read_bytes())
    assert (decoder.counters.accepted, decoder.counters.bad_crc, decoder.counters.cut) == (3, 1, 1)
    assert decoder.counters.noise_bytes > 0


def test_a_wrong_check_sum_is_rejected() -> None:
    decoder = P1Decoder()
    assert decoder.feed((HAN / "p1_nl_dsmr50_bad_crc.txt").read_bytes()) == []
    assert decoder.counters.bad_crc == 1


def test_a_telegram_that_ends_on_its_check_sum_needs_no_line_end() -> None:
    assert [t.net_power_w for t in P1Decoder().feed(LANDIS)] == [-20.0]


# --- the end of a telegram ----------------------------------------------------------------------------


def test_a_check_sum_is_a_number_not_a_text() -> None:
    body = next(
        body
        for second in range(3600)
        if sealed(
            body := b"/XXX5\r\n\r\n0-0:1.0.0(26010203%02d%02dW)\r\n1-0:1.7.0(00.100*kW)\r\n!"
            % divmod(second, 60)
        )[len(body) : len(body) + 1]
        == b"0"
    )
    number = sealed(body)[len(body) :].strip().lstrip(b"0")
    for ending in (number + b"\r\n", number.lower() + b"\r\n", b"0" + number + b"\n"):
        assert only(body + ending).power_import_w == 100.0


def test_a_short_check_sum_with_no_line_end_is_over_after_a_silence() -> None:
    decoder = P1Decoder()
    body, digits = next(
        (body, digits)
        for watts in range(2000)
        if len(
            digits := b"%X"
            % int(sealed(body := b"/XXX5\r\n\r\n1-0:1.7.0(%06.3f*kW)\r\n!" % (watts / 1000))[-6:], 16)
        )
        < 4
    )
    assert decoder.feed(body + digits) == []
    assert decoder.ending
    assert len(decoder.idle()) == 1
    assert not decoder.ending


def test_a_silence_inside_the_check_sum_does_not_end_the_telegram() -> None:
    decoder = P1Decoder()
    end = ISKRA.index(b"!") + 3
    assert decoder.feed(ISKRA[:end]) == []
    assert decoder.idle() == []
    assert [t.net_power_w for t in decoder.feed(ISKRA[end:])] == [193.0]


def test_a_meter_that_has_sent_check_sums_must_go_on_sending_them() -> None:
    decoder = P1Decoder()
    body = b"/XXX5\r\n\r\n1-0:1.7.0(00.100*kW)\r\n!"
    assert len(decoder.feed(sealed(body))) == 1
    assert decoder.feed(body + b"\r\n") == []
    assert decoder.counters.bad_crc == 1


def test_a_telegram_with_a_p1_clock_and_no_check_sum_is_damaged() -> None:
    assert decoded(ISKRA[: ISKRA.index(b"!") + 1] + b"\r\n") == []


@pytest.mark.parametrize("fill", [b"\0" * 40, b"\xff" * 40, b"\x1b\x7f\r\n"])
def test_fill_between_telegrams_is_ignored(fill: bytes) -> None:
    assert [t.net_power_w for t in decoded(fill + ISKRA + fill + ISKRA + fill)] == [193.0, 193.0]


def test_an_unchecked_telegram_with_an_unreadable_line_is_dropped() -> None:
    for damaged in (
        DSMR22.replace(b"0001.01*kW", b"0001.0\x181*kW"),
        DSMR22.replace(b"(0001.01*kW)", b"(0001.01*kW"),
        DSMR22.replace(b"1.7.0(0001.01*kW)", b"1.7.0(0001*01*kW)"),
        EASYMETER.replace(b"/ESY5", b"/E5"),
    ):
        assert decoded(damaged) == []


# --- what the lines mean ------------------------------------------------------------------------------


def test_one_maker_counts_on_channel_1_1() -> None:
    telegram = only(
        telegram_of(b"1-1:1.7.0(00.250*kW)", b"1-1:2.7.0(00.000*kW)", b"1-1:1.8.0(000001.000*kWh)")
    )
    assert (telegram.net_power_w, telegram.import_wh) == (250.0, 1000.0)


def test_the_total_is_the_total_register_or_the_sum_of_tariffs_never_both() -> None:
    tariffs = [b"1-0:1.8.%d(00000%d.000*kWh)" % (n, n) for n in (1, 2, 3, 4)]
    assert only(telegram_of(*tariffs)).import_wh == 10_000.0
    assert only(telegram_of(b"1-0:1.8.0(000010.000*kWh)", *tariffs)).import_wh == 10_000.0
    assert only(telegram_of(*tariffs[:3], b"1-0:1.8.4(----------)")).import_wh is None


def test_history_registers_are_not_the_present_one() -> None:
    telegram = only(telegram_of(b"1-0:1.8.0*96(000009.000*kWh)", b"1-0:1.8.0*255(000010.000*kWh)"))
    assert telegram.import_wh == 10_000.0


def test_watts_and_kilowatts_are_told_apart_by_their_unit() -> None:
    assert only(telegram_of(b"1-0:1.7.0(000000286*W)")).power_import_w == 286.0
    assert only(telegram_of(b"1-0:1.7.0(00.286*kW)")).power_import_w == 286.0
    assert only(telegram_of(b"1-0:1.7.0(00.286*kWh)")).power_import_w is None
    assert only(telegram_of(b"1-0:1.7.0(00.286*kvar)")).power_import_w is None


def test_a_value_may_stand_on_a_line_of_its_own() -> None:
    assert only(telegram_of(b"1-0:1.7.0", b"(00.286*kW)")).power_import_w == 286.0


def test_signed_power_of_a_two_way_d0_meter_is_export_when_negative() -> None:
    for line in (b"1-0:1.7.0*255(-000333.00*W)", b"1-0:16.7.0*255(-000333.00*W)"):
        telegram = only(telegram_of(line))
        assert (telegram.power_import_w, telegram.power_export_w, telegram.net_power_w) == (
            0.0,
            333.0,
            -333.0,
        )


def test_each_phase_is_import_less_export_and_unknown_where_it_is_not_told() -> None:
    told = [
        b"1-0:21.7.0(00.300*kW)",
        b"1-0:22.7.0(00.000*kW)",
        b"1-0:41.7.0(00.000*kW)",
        b"1-0:42.7.0(01.250*kW)",
    ]
    assert only(telegram_of(*told)).phases_w == (300.0, -1250.0, None)
    assert only(telegram_of(*told, b"1-0:61.7.0(00.020*kW)")).phases_w == (300.0, -1250.0, 20.0)
    unread = only(telegram_of(b"1-0:1.7.0(00.320*kW)", b"1-0:21.7.0(00.300*kW)", b"1-0:22.7.0(----)"))
    assert (unread.net_power_w, unread.phases_w) == (320.0, (None, None, None))


def test_absolute_sums_and_other_meters_are_never_taken() -> None:
    telegram = only(
        telegram_of(
            b"0-1:24.1.0(003)",
            b"0-1:1.0.0(200101000000W)",
            b"0-1:24.2.1(200101000000W)(00304.089*m3)",
            b"0-2:1.7.0(09.000*kW)",
            b"1-0:15.7.0(09.000*kW)",
        )
    )
    told = (telegram.power_import_w, telegram.import_wh, telegram.clock, telegram.meter_utc_s)
    assert told == (None, None, None, None)


def test_export_is_unknown_only_while_nothing_is_imported() -> None:
    assert not only(EASYMETER).export_unknown
    assert only(telegram_of(b"1-0:1.7.0(00.000*kW)")).export_unknown
    assert not only(telegram_of(b"1-0:1.7.0(00.000*kW)", b"1-0:2.7.0(00.000*kW)")).export_unknown


# --- the meter's clock --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        (b"220901152201S", "2022-09-01T13:22:01Z"),
        (b"220901152201W", "2022-09-01T14:22:01Z"),  # Swedish meters keep W all summer: believe the letter
        (b"240229235959W", "2024-02-29T22:59:59Z"),
        (b"230229235959W", None),
        (b"000000000000W", None),
        (b"632525252525W", None),
        (b"700101000000W", None),
        (b"000101000001W", None),
        (b"220901152201", None),  # no letter: no zone
    ],
)
def test_a_clock_is_believed_by_its_letter_and_an_impossible_one_is_unknown(
    printed: bytes, meant: str | None
) -> None:
    telegram = only(telegram_of(b"0-0:1.0.0(%s)" % printed, b"1-0:1.7.0(00.286*kW)"))
    assert utc(telegram) == meant
    assert telegram.net_power_w == 286.0


def test_a_clock_without_a_zone_still_tells_that_the_meter_lives() -> None:
    assert only(telegram_of(b"0-0:1.0.0(220901152201)")).clock == "220901152201"
    assert only(telegram_of(b"0-0:1.0.0(632525252525W)")).clock is None


def test_the_meaning_of_winter_time_is_a_setting() -> None:
    (telegram,) = P1Decoder(winter_offset_s=7200).feed(telegram_of(b"0-0:1.0.0(220901152201S)"))
    assert utc(telegram) == "2022-09-01T12:22:01Z"


# --- damage -------------------------------------------------------------------------------------------


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with one to four cuts, flips, inserts or deletes."""
    for kind in draw(st.lists(st.sampled_from(["cut", "flip", "insert", "delete"]), min_size=1, max_size=4)):
        place = draw(st.integers(0, len(data)))
        before, after = data[:place], data[place:]
        if kind == "cut":
            data = before
        elif kind == "flip" and after:
            data = before + bytes([after[0] ^ 1 << draw(st.integers(0, 7))]) + after[1:]
        elif kind == "insert":
            data = before + draw(st.binary(max_size=60)) + after
        elif kind == "delete":
            data = before + after[draw(st.integers(1, 60)) :]
    return data


def said(telegram: Telegram) -> tuple[float | None, ...]:
    return telegram.net_power_w, telegram.import_wh, telegram.export_wh, telegram.meter_utc_s


# Derandomised: 16 bits of check sum let one damaged telegram in 65 536 through by nature.
@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_damage_never_yields_a_wrong_value_as_good(data: st.DataObject) -> None:
    sound = data.draw(st.sampled_from([ISKRA, LANDIS]))
    stream = data.draw(damaged(sound * 3))
    assert {said(t) for t in decoded(stream) if t.checked} <= {said(only(sound))}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_damage_to_a_checked_link_yields_no_unchecked_value(data: st.DataObject) -> None:
    stream = ISKRA + data.draw(damaged(ISKRA * 2))
    assert all(t.checked and said(t) == said(only(ISKRA)) for t in decoded(stream))


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), damaged(ISKRA), damaged(DSMR22)), st.sampled_from([ISKRA, LANDIS]))
@example(ISKRA[:-6], ISKRA)
@example(ISKRA[:-4], LANDIS)
@example(b"/" * 9000, ISKRA)
@example(b"/" + b"x" * 9000, ISKRA)
def test_no_bytes_before_a_good_telegram_can_lose_it(before: bytes, sound: bytes) -> None:
    assert said(only(sound)) in [said(t) for t in decoded(before + sound)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=60))
def test_the_way_a_stream_is_cut_into_pieces_changes_nothing(lengths: list[int]) -> None:
    data = (HAN / "stream_p1_dirty.bin").read_bytes() + DSMR22 + EASYMETER + ISKRA
    whole, pieced = P1Decoder(), P1Decoder()
    telegrams, start = [], 0
    for length in (*lengths, len(data)):
        telegrams += pieced.feed(data[start : start + length])
        start += length
    assert telegrams == whole.feed(data)
    assert pieced.counters == whole.counters


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=600), damaged(ISKRA), damaged(DSMR22), damaged(EASYMETER)))
def test_any_bytes_are_survived(data: bytes) -> None:
    fuzz_p1(data)


@pytest.mark.long
@settings(max_examples=5_000, deadline=None)
@given(st.one_of(st.binary(max_size=600), damaged(ISKRA), damaged(DSMR22), damaged(EASYMETER + LANDIS)))
def test_any_bytes_are_survived_for_long(data: bytes) -> None:
    fuzz_p1(data)


@pytest.mark.parametrize("line", [b"/", b"/XXX5", b"/XXX5\r\n1-0:1.7.0(", b"!", b"x"])
def test_an_endless_line_takes_no_more_than_the_buffer(line: bytes) -> None:
    decoder, piece = P1Decoder(), b"1" * 4096
    decoder.feed(line)
    tracemalloc.start()
    for _ in range(200):
        decoder.feed(piece)
    grown_bytes, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown_bytes < 16_384
    assert peak_bytes < 49_152
    assert [t.net_power_w for t in decoder.feed(ISKRA)] == [193.0]


def test_a_telegram_may_be_long_but_not_endless() -> None:
    fits = telegram_of(b"0-0:96.13.0(" + b"30" * 1024 + b")", b"1-0:1.7.0(00.286*kW)")
    assert only(fits).net_power_w == 286.0
    assert decoded(telegram_of(b"0-0:96.13.0(" + b"3" * LONGEST_TELEGRAM_BYTES + b")")) == []


def test_the_fake_meter_seals_as_real_meters_do() -> None:
    assert sealed(ISKRA[: ISKRA.index(b"!") + 1]) == ISKRA
    assert only(restamped(ISKRA, import_w=2345, export_w=45, import_wh=1_000)).net_power_w == 2300.0
