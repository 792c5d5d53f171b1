"""Bytes nobody would send, and messages one slip away from right: dispatches, trust stores, questions."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.wire.signature import public_x, sign
from tests.wire.bodies import EXAMPLE, STOP, set_bodies, written
from tests.wire.fuzz_dispatch import SCHEMA, SECRET, fuzz_dispatch, fuzz_token
from tests.wire.fuzz_keys import ROOT_SECRET, fuzz_keys
from tests.wire.fuzz_question import fuzz_question
from tests.wire.test_keys import KEY, STORE

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["PT1H", "site", "asset:x", "2026-11-23T17:00:00Z", "0001-01-01T00:00:00Z", "KW", "\ud800"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys: Any = (
        value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [place for key in keys for place in [(*way, key), *_places(value[key], (*way, key))]]


DISPATCHES = st.sampled_from([EXAMPLE, STOP]) | set_bodies().map(lambda pair: pair[0])
TRUST_STORES = st.sampled_from(
    [STORE, {**STORE, "keys": [KEY, {**KEY, "kid": "next", "x": public_x(ROOT_SECRET)}]}]
)


def _scratched(draw: st.DrawFn, whole: bytes) -> bytes:
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


@st.composite
def slips(draw: st.DrawFn, bodies: st.SearchStrategy[Any] = DISPATCHES) -> bytes:
    """A valid message with up to three values replaced, removed or doubled."""
    body: Any = copy.deepcopy(draw(bodies))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(_places(body) or [("x",)]))
        place = body
        for step in way:
            place = place[step]
        match draw(st.integers(0, 3)):
            case 0 if isinstance(place, dict):
                place.pop(last, None)
            case 1 if isinstance(place, list):
                place.append(place[last])
            case 2 if isinstance(place, dict):
                place[draw(st.text(max_size=6))] = draw(JSON)
            case _:
                place[last] = draw(JSON)
    return json.dumps(body).encode()


@st.composite
def scratched(draw: st.DrawFn, bodies: st.SearchStrategy[Any] = DISPATCHES) -> bytes:
    """A valid message with a few bytes overwritten, cut out or put in."""
    return _scratched(draw, written(draw(bodies)))


@st.composite
def tokens(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A signed message, a few of its bytes overwritten; and what was signed."""
    payload = written(draw(DISPATCHES))
    return _scratched(draw, sign(payload, SECRET, "agg", SCHEMA)), payload


QUESTION = {
    "schema": "homeflex.rpc.v1",
    "site": "home-7f3a",
    "id": "q-1",
    "verb": "readings",
    "issuedAt": "2026-11-23T17:00:00Z",
    "expiresAt": "2026-11-23T17:01:00Z",
    "rows": {"log": "telemetry:ev", "firstSeq": 1, "lastSeq": 9},
}
QUESTIONS = st.sampled_from(
    [QUESTION, {**{k: v for k, v in QUESTION.items() if k != "rows"}, "verb": "state"}]
)


@st.composite
def questions(draw: st.DrawFn) -> bytes:
    """A question, as it is or one slip away from right."""
    return draw(QUESTIONS.map(written) | slips(QUESTIONS) | scratched(QUESTIONS))


FEW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(
    max_examples=2_000, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
LONG_S = 600.0


@FEW
@given(st.binary(max_size=300) | slips() | scratched())
def test_no_bytes_raise_anything_but_the_documented_error(data: bytes) -> None:
    fuzz_dispatch(data)


@st.composite
def trust_stores(draw: st.DrawFn) -> bytes:
    """A trust store, as it is or one slip away from right."""
    return draw(TRUST_STORES.map(written) | slips(TRUST_STORES) | scratched(TRUST_STORES))


@FEW
@given(st.binary(max_size=300) | trust_stores())
def test_no_bytes_as_a_trust_store_raise_anything_but_the_documented_error(data: bytes) -> None:
    fuzz_keys(data)


@FEW
@given(st.binary(max_size=300) | questions())
def test_no_bytes_as_a_question_raise_anything_but_the_documented_error(data: bytes) -> None:
    fuzz_question(data)


@FEW
@given(tokens())
def test_a_signed_message_is_what_was_signed_or_refused(scratched: tuple[bytes, bytes]) -> None:
    fuzz_token(*scratched)


@pytest.mark.long
@pytest.mark.timeout(2 * LONG_S)
def test_for_ten_minutes_no_bytes_raise_anything_but_the_documented_errors() -> None:
    rounds = (
        MANY(given(st.binary(max_size=2000) | slips() | scratched())(fuzz_dispatch)),
        MANY(given(st.binary(max_size=2000) | trust_stores())(fuzz_keys)),
        MANY(given(st.binary(max_size=2000) | questions())(fuzz_question)),
        MANY(given(tokens())(lambda scratched: fuzz_token(*scratched))),
    )
    ends_s = time.monotonic() + LONG_S
    while time.monotonic() < ends_s:
        for fuzz in rounds:
            fuzz()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"schema":"homeflex.dispatch.v1","id":' + b"9" * 60_000 + b"}",
        b'{"schema":"homeflex.dispatch.v1","revision":1e999}',
        written(EXAMPLE).decode().encode("utf-16"),
        b"\xef\xbb\xbf" + written(EXAMPLE),
        b"." * 60_000,
        b"e30.e30.e30",
        b'"alg"',
        b"ImFsZyI.e30.e30",
        b'{"op":["set"]}',
        b'{"schema":"homeflex.dispatch.v1","op":["set"],"targets":{},"intervals":7}',
    ],
    ids=range(13),
)
def test_bombs_and_oddities_are_refused_quietly(data: bytes) -> None:
    fuzz_dispatch(data)
    fuzz_keys(data)
    fuzz_question(data)
