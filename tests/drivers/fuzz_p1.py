"""Fuzz entry for the P1 decoder: any bytes, in any cuts, give the same telegrams and no exception."""

from __future__ import annotations

from drivers.han.p1 import P1Decoder, Telegram


def fuzz_p1(data: bytes) -> None:
    """Decode `data` whole, byte by byte and in pieces with silences between; it must make sense."""
    whole, bytewise, halting = P1Decoder(), P1Decoder(), P1Decoder()
    telegrams = whole.feed(data)
    assert [t for i in range(len(data)) for t in bytewise.feed(data[i : i + 1])] == telegrams
    assert whole.counters == bytewise.counters
    for start in range(0, len(data), 7):
        for telegram in (*halting.feed(data[start : start + 7]), *halting.idle()):
            _makes_sense(telegram)
    for telegram in telegrams:
        _makes_sense(telegram)
    counters = whole.counters
    assert counters.accepted == len(telegrams)
    assert counters.accepted + counters.bad_crc + counters.cut <= data.count(b"/")
    assert counters.noise_bytes <= len(data)


def _makes_sense(telegram: Telegram) -> None:
    told = (telegram.power_import_w, telegram.power_export_w, telegram.import_wh, telegram.export_wh)
    assert all(value is None or 0 <= value < 1e16 for value in told)
    assert telegram.checked is not False
    assert telegram.meter_utc_s is None or telegram.clock is not None
