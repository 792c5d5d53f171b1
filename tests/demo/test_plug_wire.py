"""The simulated plug's HTTP, byte by byte on a real socket, and its digest authentication."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.demo.devices import rpc
from gateway.demo.devices.plug import Plug

PASSWORD = "cold at home"
Message = dict[str, Any]


class Clock:
    """A moment that stays."""

    def __call__(self) -> float:
        return 1000.0

    def utc_s(self) -> float:
        return 1_795_000_020.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextlib.asynccontextmanager
async def _served(clock: Clock, password: str | None = None) -> AsyncIterator[tuple[int, Plug]]:
    plug = Plug(clock, clock.utc_s, is_protected=password is not None)
    async with rpc.listening(plug, password) as port:
        yield port, plug


async def _exchange(port: int, request: str) -> tuple[int, dict[str, str], Message]:
    """Status, headers and body of what these bytes get; the device closes after its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.replace("\n", "\r\n").encode())
    async with asyncio.timeout(15.0):
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    first, *lines = head.split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), json.loads(body)


def _post(body: str, authorization: str = "") -> str:
    proof = f"Authorization: {authorization}\n" if authorization else ""
    return f"POST /rpc HTTP/1.1\nHost: plug\n{proof}Content-Length: {len(body)}\n\n{body}"


def _proof(
    challenge: str, *, password: str = PASSWORD, uri: str = "/rpc", nc: int = 1, **changes: str
) -> str:
    """What RFC 7616 wants for POST, written by hand."""
    nonce = challenge.split('nonce="')[1].split('"')[0]
    realm = challenge.split('realm="')[1].split('"')[0]

    def hashed(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    first, second = hashed(f"admin:{realm}:{password}"), hashed(f"POST:{uri}")
    response = hashed(f"{first}:{nonce}:{nc:08x}:c0ffee:auth:{second}")
    claim = {
        "username": "admin",
        "realm": realm,
        "nonce": nonce,
        "uri": uri,
        "cnonce": "c0ffee",
        "response": response,
    } | changes
    said = ", ".join(f'{name}="{value}"' for name, value in claim.items())
    return f"Digest {said}, qop=auth, nc={nc:08x}, algorithm=SHA-256"


SET_OFF = '{"id":7,"src":"test","method":"Switch.Set","params":{"id":0,"on":false,"toggle_after":60}}'


async def test_it_answers_a_frame_with_a_frame_and_closes(clock: Clock) -> None:
    async with _served(clock) as (port, plug):
        status, headers, body = await _exchange(port, _post(SET_OFF))
    assert (status, headers["Connection"]) == (200, "close")
    assert body == {"id": 7, "src": plug.id, "dst": "test", "result": {"was_on": True}}
    assert not plug.closed


async def test_an_error_comes_in_the_frame(clock: Clock) -> None:
    async with _served(clock) as (port, _):
        status, _, body = await _exchange(port, _post('{"id":1,"method":"Switch.Fly"}'))
    assert (status, body["error"]) == (200, {"code": 404, "message": "No handler for Switch.Fly"})


@pytest.mark.parametrize(
    ("target", "status", "field"),
    [
        ("/shelly", 200, "model"),
        ("/rpc/Shelly.GetDeviceInfo", 200, "model"),
        ("/rpc/Switch.GetStatus?id=0", 200, "output"),
        ("/rpc/Switch.Set?id=0&on=false&toggle_after=5", 200, "was_on"),
        ("/rpc/Switch.Set?id=3&on=false", 500, "code"),
        ("/rpc/Switch.Fly?id=0", 404, "code"),
        ("/rpc/Switch.Set?id=zero", 400, "code"),
        ("/elsewhere", 404, "code"),
    ],
)
async def test_plain_requests_get_plain_answers(clock: Clock, target: str, status: int, field: str) -> None:
    async with _served(clock) as (port, _):
        told, _, body = await _exchange(port, f"GET {target} HTTP/1.1\nHost: plug\n\n")
    assert told == status
    assert field in body


@pytest.mark.parametrize(
    "request_text",
    [
        "POST /rpc HTTP/1.1\nContent-Length: 5\n\n{bad}",
        "POST /rpc HTTP/1.1\nContent-Length: 2\n\n[]",
        "POST /rpc HTTP/1.1\nContent-Length: 9000\n\n",
        "POST /rpc HTTP/1.1\nContent-Length: many\n\n",
        "POST /rpc HTTP/1.1\nTransfer-Encoding: chunked\n\n",
        "nonsense\n\n",
        "GET / HTTP/1.1\nX: " + "x" * 20_000 + "\n\n",
    ],
)
async def test_what_it_cannot_read_is_a_bad_request_and_it_goes_on(clock: Clock, request_text: str) -> None:
    async with _served(clock) as (port, _):
        status, _, _ = await _exchange(port, request_text)
        assert status == 400
        status, _, _ = await _exchange(port, "GET /shelly HTTP/1.1\n\n")
        assert status == 200


async def test_protected_it_tells_everybody_who_it_is_and_nothing_else(clock: Clock) -> None:
    async with _served(clock, PASSWORD) as (port, plug):
        status, _, info = await _exchange(port, "GET /shelly HTTP/1.1\n\n")
        assert (status, info["auth_en"], info["auth_domain"]) == (200, True, plug.id)
        status, _, _ = await _exchange(port, _post('{"id":1,"method":"Shelly.GetDeviceInfo"}'))
        assert status == 200
        for request in (_post(SET_OFF), "GET /rpc/Switch.Set?id=0&on=false HTTP/1.1\n\n"):
            status, headers, _ = await _exchange(port, request)
            assert status == 401
            assert headers["WWW-Authenticate"].startswith(f'Digest qop="auth", realm="{plug.id}", nonce="')
        assert plug.closed


async def test_a_right_proof_is_obeyed_and_its_nonce_can_be_counted_on(clock: Clock) -> None:
    async with _served(clock, PASSWORD) as (port, plug):
        _, headers, _ = await _exchange(port, _post(SET_OFF))
        challenge = headers["WWW-Authenticate"]
        assert (await _exchange(port, _post(SET_OFF, _proof(challenge))))[0] == 200
        assert (await _exchange(port, _post(SET_OFF, _proof(challenge, nc=2))))[0] == 200
        assert not plug.closed


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "warm at home"},
        {"username": "root"},
        {"realm": "elsewhere"},
        {"uri": "/rpc/Switch.Set"},
        {"nonce": "00000000"},
        {"cnonce": "decaf"},
    ],
)
async def test_a_wrong_proof_is_not(clock: Clock, changes: dict[str, str]) -> None:
    async with _served(clock, PASSWORD) as (port, plug):
        _, headers, _ = await _exchange(port, _post(SET_OFF))
        proof = _proof(headers["WWW-Authenticate"], **changes)  # type: ignore[arg-type]
        assert (await _exchange(port, _post(SET_OFF, proof)))[0] == 401
        assert plug.closed


async def test_a_proof_that_was_heard_is_worth_nothing_a_second_time(clock: Clock) -> None:
    async with _served(clock, PASSWORD) as (port, _):
        _, headers, _ = await _exchange(port, _post(SET_OFF))
        proof = _proof(headers["WWW-Authenticate"])
        assert (await _exchange(port, _post(SET_OFF, proof)))[0] == 200
        assert (await _exchange(port, _post(SET_OFF, proof)))[0] == 401
