"""P1 telegrams (DSMR, eMUCS and their relatives) and their D0 cousin: bytes in, telegrams out.

No socket, no clock, and no exception out of `feed` on any bytes. Only what the boundary needs is read:
meter numbers and the meters on other channels are never looked at.
Sources: DSMR P1 companion standard 2.2 to 5.0.2, eMUCS-P1, IEC 62056-21 mode D.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

LONGEST_TELEGRAM_BYTES = 7 * 1024  # a DSMR text message alone may take 2 kB
SLICE_BYTES = 1024  # taken in at once, so that the buffer stays under the two together: 8 kB


@dataclass(frozen=True, slots=True)
class Telegram:
    """One sound telegram. None: it does not say.

    `import_wh` and `export_wh` are the meter's registers, `register_step_wh` their coarsest step.
    `clock` is the meter's clock as printed, `meter_utc_s` the same in UTC where the print fixes the zone.
    `phases_w` is the net power of L1, L2 and L3.
    `checked`: True if a check sum was right, None if the format has none.
    `fingerprint` is equal for telegrams equal byte for byte.
    """

    power_import_w: float | None
    power_export_w: float | None
    import_wh: float | None
    export_wh: float | None
    register_step_wh: float
    clock: str | None
    meter_utc_s: float | None
    checked: bool | None
    fingerprint: int
    phases_w: tuple[float | None, ...] = (None, None, None)

    @property
    def net_power_w(self) -> float | None:
        """Power at the boundary, import positive; an export not told counts as none."""
        if self.power_import_w is None:
            return None
        return self.power_import_w - (self.power_export_w or 0.0)

    @property
    def export_unknown(self) -> bool:
        """Whether the home may be exporting unseen: nothing is imported and export is not told."""
        return self.power_export_w is None and not self.power_import_w


@dataclass(slots=True)
class Counters:
    """What became of the bytes. `cut` counts telegrams that broke off or could not be read."""

    accepted: int = 0
    bad_crc: int = 0
    bad_crc_in_a_row: int = 0
    cut: int = 0
    noise_bytes: int = 0


class P1Decoder:
    """Finds telegrams in a stream that may start, break and resume anywhere.

    `winter_offset_s` is what the letter W on the meter's clock means: 3600 in all CET countries.
    """

    def __init__(self, winter_offset_s: int = 3600) -> None:
        self.counters = Counters()
        self._winter_offset_s = winter_offset_s
        self._buffer = bytearray()
        self._check_sums_seen = False

    @property
    def ending(self) -> bool:
        """Whether a telegram is whole but for the silence that says so: call `idle` after 50 ms of it."""
        return b"!" in self._buffer

    def feed(self, data: bytes) -> list[Telegram]:
        """Take in bytes as they came; returns the telegrams they completed."""
        telegrams: list[Telegram] = []
        for start in range(0, len(data), SLICE_BYTES):
            self._buffer += data[start : start + SLICE_BYTES]
            telegrams += self._drained()
        return telegrams

    def idle(self) -> list[Telegram]:
        """The line has been silent for 50 ms: a telegram sent without a line end is over.

        It is left waiting if the silence may have fallen inside its check sum.
        """
        if not self.ending:
            return []
        body, _, digits = bytes(self._buffer).partition(b"!")
        body += b"!"
        if self._checked(body, digits) is False:
            return []
        self._buffer.clear()
        return self._taken(body, digits)

    def _drained(self) -> list[Telegram]:
        telegrams: list[Telegram] = []
        while self._aligned():
            mark = _RESTART_OR_END.search(self._buffer, 1)
            if mark is None and len(self._buffer) <= LONGEST_TELEGRAM_BYTES:
                break
            if mark is None or mark[0] == b"/" or mark.start() > LONGEST_TELEGRAM_BYTES:
                self.counters.cut += 1
                del self._buffer[: mark.start() if mark else None]
                continue
            digits = self._buffer[mark.end() : mark.end() + 4]
            digits = digits[: len(digits) - len(digits.lstrip(_HEX))]
            over = mark.end() + len(digits)
            if len(digits) < 4 and over == len(self._buffer):
                break
            body = bytes(self._buffer[: mark.end()])
            del self._buffer[:over]
            telegrams += self._taken(body, bytes(digits))
        return telegrams

    def _aligned(self) -> bool:
        """Skip to the next start mark; False if there is none."""
        start = self._buffer.find(b"/")
        skipped = self._buffer[: start if start >= 0 else None]
        self.counters.noise_bytes += len(skipped.translate(None, b"\r\n"))
        del self._buffer[: len(skipped)]
        return start >= 0

    def _taken(self, body: bytes, digits: bytes) -> list[Telegram]:
        checked = self._checked(body, digits)
        if checked is False:
            self.counters.bad_crc += 1
            self.counters.bad_crc_in_a_row += 1
            return []
        self._check_sums_seen |= bool(checked)
        telegram = decode_telegram(body, checked, self._winter_offset_s)
        if telegram is None:
            self.counters.cut += 1
            return []
        self.counters.accepted += 1
        self.counters.bad_crc_in_a_row = 0
        return [telegram]

    def _checked(self, body: bytes, digits: bytes) -> bool | None:
        """Whether the check sum is right; None if the format has none.

        Compared as numbers: one maker prints it without leading zeros. A telegram with P1's clock
        (DSMR 4 on) or from a meter that has sent check sums must have one.
        """
        if digits:
            return int(digits, 16) == crc16(body)
        return False if self._check_sums_seen or _CLOCK.search(body) else None


def crc16(data: bytes) -> int:
    """CRC-16/ARC: polynomial 0x8005 reflected, start 0 (DSMR 5.0.2 P1, 6.2)."""
    crc, table = 0, _CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc


def decode_telegram(body: bytes, checked: bool | None, winter_offset_s: int) -> Telegram | None:
    """The telegram from "/" to "!"; None if it has no check sum and is not well formed throughout."""
    body = body.replace(b"\r\n(", b"(")  # DSMR 2.2 sends some values on a line of their own
    if checked is None and not _WELL_FORMED.fullmatch(body):
        return None
    found: dict[bytes, _Quantity | None] = {}
    for line in _WANTED.finditer(body):
        found.setdefault(line["code"], _quantity(line["code"], line["value"]))
    if checked is None and (not found or None in (found[code] for code in found if code not in _OF_A_PHASE)):
        return None
    power_import_w, power_export_w = _power(found)
    import_register, export_register = _register(found, b"1"), _register(found, b"2")
    clock = _CLOCK.search(body)
    meter_utc_s = _utc_s(clock["stamp"], clock["season"], winter_offset_s) if clock else None
    return Telegram(
        power_import_w,
        power_export_w,
        _amount(import_register),
        _amount(export_register),
        max((r.step for r in (import_register, export_register) if r), default=0.0),
        clock[1].decode() if clock and meter_utc_s is not None else None,
        meter_utc_s if clock and clock["season"] else None,
        checked,
        zlib.crc32(body),
        tuple(_net_w(found, import_code, export_code) for import_code, export_code in _PHASES),
    )


# --- lines ------------------------------------------------------------------------------------------

_RESTART_OR_END = re.compile(rb"[/!]")
_HEX = b"0123456789abcdefABCDEF"
# Matched on C.D.E: one maker's meters count on channel 1-1. Storage *255 is "now"; others are history.
_WANTED = re.compile(
    rb"^(?:1-\d{1,3}:)?(?P<code>1\.7\.0|2\.7\.0|16\.7\.0|[246][12]\.7\.0|[12]\.8\.[0-4])(?:\*255)?(?P<value>\(.*)$",
    re.M,
)
_QUANTITY = re.compile(
    rb"\((?P<sign>-?)(?P<whole>\d{1,12})(?:\.(?P<part>\d{0,9}))?\*(?P<unit>k?Wh?)\)\s*", re.I
)
_CLOCK = re.compile(rb"^0-0:1\.0\.0\(((?P<stamp>\d{12})(?P<season>[SW]?))\)", re.M)
_WELL_FORMED = re.compile(rb"/[A-Za-z]{3}[ -~]*\r?\n(?:[0-9A-Za-z.:*&-]*(?:\([ '*-~]*\))*\r?\n)*!")
_PHASES = ((b"21.7.0", b"22.7.0"), (b"41.7.0", b"42.7.0"), (b"61.7.0", b"62.7.0"))  # DSMR 5.0.2 P1, 6.12
_OF_A_PHASE = frozenset(code for codes in _PHASES for code in codes)
_SIGNED = (b"1.7.0", b"16.7.0")  # two-way D0 meters print 1.7.0 with a sign


@dataclass(frozen=True, slots=True)
class _Quantity:
    amount: float  # W or Wh
    step: float  # the last digit printed


def _amount(quantity: _Quantity | None) -> float | None:
    return quantity.amount if quantity else None


def _quantity(code: bytes, text: bytes) -> _Quantity | None:
    """A value in W or Wh, exactly as printed; None if it is not one of this code."""
    match = _QUANTITY.fullmatch(text)
    if not match or (match["sign"] and code not in _SIGNED):
        return None
    unit = match["unit"].lower()
    if unit.endswith(b"h") != (b".8." in code):
        return None
    part = match["part"] or b""
    scale = 1000 if unit.startswith(b"k") else 1
    digits = int(match["sign"] + match["whole"] + part)
    return _Quantity(digits * scale / 10 ** len(part), scale / 10 ** len(part))


def _power(found: dict[bytes, _Quantity | None]) -> tuple[float | None, float | None]:
    """Import and export in W, neither negative."""
    power_import, power_export, net = (found.get(code) for code in (b"1.7.0", b"2.7.0", b"16.7.0"))
    if power_import and power_import.amount < 0:
        net = power_import
    elif power_import and power_export:
        net = None
    if net:
        return max(net.amount, 0.0), max(-net.amount, 0.0)
    return _amount(power_import), _amount(power_export)


def _net_w(found: dict[bytes, _Quantity | None], import_code: bytes, export_code: bytes) -> float | None:
    """A phase's power, import positive; unknown if either direction is there and cannot be read."""
    if (power_import := found.get(import_code)) is None or found.get(export_code, power_import) is None:
        return None
    power_export = found.get(export_code)
    return power_import.amount - (power_export.amount if power_export else 0.0)


def _register(found: dict[bytes, _Quantity | None], direction: bytes) -> _Quantity | None:
    """The total if the meter sends one, else the sum of its tariffs: never both (Hungary sends both)."""
    if direction + b".8.0" in found:
        return found[direction + b".8.0"]
    tariffs = [value for code, value in found.items() if code.startswith(direction + b".8.")]
    known = [tariff for tariff in tariffs if tariff]
    if not tariffs or len(known) < len(tariffs):
        return None
    return _Quantity(math.fsum(t.amount for t in known), max(t.step for t in known))


def _utc_s(stamp: bytes, season: bytes, winter_offset_s: int) -> float | None:
    """The printed local time in UTC; None for a stamp no running clock shows.

    W and S are believed as printed: Swedish meters keep W all summer.
    """
    year, month, day, hour, minute, second = (int(stamp[i : i + 2]) for i in range(0, 12, 2))
    if not 10 <= year < 70:  # a clock that was never set starts at 2000 or 1970
        return None
    try:
        printed = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return printed.timestamp() - winter_offset_s - (3600 if season == b"S" else 0)


def _crc_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC_TABLE = tuple(map(_crc_entry, range(256)))
