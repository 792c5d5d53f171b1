"""What can be wrong with an answer on the wire. Pure: bytes in, a sentence or nothing out.

Modbus Messaging on TCP/IP 1.0b, 3.1.3: transaction (2), protocol 0 (2), length (2), unit (1), then the
PDU. The library below raises inside the event loop at an answer it cannot read; this looks first.
"""

from __future__ import annotations

HEADER = 7  # bytes, the unit included
_LONGEST_PDU = 253
_READS = (1, 2, 3, 4)


def flaw(heard: bytes, asked: bytes) -> str | None:
    """Why the bytes heard so far can never become an answer to the request; None: they still may.

    Complete frames of another transaction or unit are stepped over: they are late, not wrong.
    """
    while len(heard) >= HEADER:
        if heard[2:4] != b"\0\0":
            return f"protocol {int.from_bytes(heard[2:4])} in an answer; Modbus is 0"
        length = int.from_bytes(heard[4:6])
        if not 2 <= length <= _LONGEST_PDU + 1:
            return f"an answer claims {length} bytes; 2 to {_LONGEST_PDU + 1} are possible"
        if len(heard) < 6 + length:
            return None
        frame, heard = heard[: 6 + length], heard[6 + length :]
        if _is_for(frame, asked):
            return _pdu_flaw(frame[HEADER:], asked[HEADER:])
    return None


def _is_for(answer: bytes, asked: bytes) -> bool:
    """Whether the library takes it for the answer: some devices leave the transaction at 0."""
    return answer[:2] in (asked[:2], b"\0\0") and asked[6] in (answer[6], 0)


def _pdu_flaw(answer: bytes, asked: bytes) -> str | None:
    if answer[0] & 0x7F != asked[0]:
        return f"function {answer[0]} answers function {asked[0]}"
    if answer[0] & 0x80:
        return None if len(answer) == 2 else f"an exception of {len(answer)} bytes; it has 2"
    if asked[0] in _READS:
        expected = _read_length(asked)
        if len(answer) != expected + 2 or answer[1] != expected:
            return f"{len(answer) - 2} bytes of data, said to be {answer[1:2].hex()}; asked for {expected}"
        return None
    if answer != asked[:5]:  # 05, 06 and 16 repeat address and value, or address and count
        return "a write is answered for another register or value"
    return None


def _read_length(asked: bytes) -> int:
    count = int.from_bytes(asked[3:5])
    return -(-count // 8) if asked[0] in (1, 2) else 2 * count
