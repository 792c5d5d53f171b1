"""The simulated plug: its relay and timers under a clock of the test, its bytes on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.demo.devices import rpc
from gateway.demo.devices.plug import METHODS, Fault, Plug
from gateway.demo.devices.rpc import Failed

T0_UTC_S = 1_795_000_020.0  # a whole minute
PASSWORD = "cold at home"
PEER = "10.0.0.2:41000"
Message = dict[str, Any]


class Clock:
    """Seconds the test advances."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def utc_s(self) -> float:
        return T0_UTC_S + self.now_s - 1000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plug(clock: Clock) -> Plug:
    return Plug(clock, clock.utc_s)


def _pass(plug: Plug, clock: Clock, seconds: float, load_w: float = 100.0) -> bool:
    """Let time pass; gives whether the load has mains at its end."""
    clock.now_s += seconds
    plug.tick(seconds, load_w)
    return plug.closed


def _set(plug: Plug, on: bool, **more: object) -> Message:
    return plug.call("Switch.Set", {"id": 0, "on": on, **more}, PEER)


def _status(plug: Plug) -> Message:
    return plug.call("Switch.GetStatus", {"id": 0}, PEER)


def _configure(plug: Plug, **config: object) -> Message:
    return plug.call("Switch.SetConfig", {"id": 0, "config": config}, PEER)


# --- relay and timers ---


def test_switched_off_it_stays_off_until_it_is_told_otherwise(plug: Plug, clock: Clock) -> None:
    assert _set(plug, False) == {"was_on": True}
    assert not _pass(plug, clock, 100_000)
    assert _set(plug, True) == {"was_on": False}
    assert _pass(plug, clock, 1)


def test_with_a_timer_it_comes_back_by_itself(plug: Plug, clock: Clock) -> None:
    _set(plug, False, toggle_after=60)
    assert not _pass(plug, clock, 59)
    assert _pass(plug, clock, 1)
    assert _status(plug)["source"] == "timer"


def test_its_timer_can_be_read_while_it_runs_and_not_after(plug: Plug, clock: Clock) -> None:
    _set(plug, False, toggle_after=60)
    _pass(plug, clock, 30)
    told = _status(plug)
    assert (told["timer_started_at"], told["timer_duration"]) == (T0_UTC_S, 60)
    _pass(plug, clock, 30)
    assert "timer_duration" not in _status(plug)


def test_each_switching_off_winds_the_timer_again(plug: Plug, clock: Clock) -> None:
    _set(plug, False, toggle_after=60)
    _pass(plug, clock, 50)
    _set(plug, False, toggle_after=60)
    assert not _pass(plug, clock, 59)
    assert _pass(plug, clock, 1)


def test_switching_without_a_timer_ends_the_one_that_ran(plug: Plug, clock: Clock) -> None:
    """The trap of a plain off: what would have brought the load back is gone."""
    _set(plug, False, toggle_after=60)
    _set(plug, False)
    assert not _pass(plug, clock, 3600)


def test_by_configuration_it_comes_back_after_every_off(plug: Plug, clock: Clock) -> None:
    assert _configure(plug, auto_on=True, auto_on_delay=120.0) == {"restart_required": False}
    _set(plug, False)
    assert _status(plug)["timer_duration"] == 120.0
    assert not _pass(plug, clock, 119)
    assert _pass(plug, clock, 1)
    plug.press()
    assert not _pass(plug, clock, 119)
    assert _pass(plug, clock, 1)


def test_the_timer_asked_for_stands_before_the_configured_one(plug: Plug, clock: Clock) -> None:
    _configure(plug, auto_on=True, auto_on_delay=120.0)
    _set(plug, False, toggle_after=30)
    assert _pass(plug, clock, 30)


def test_by_configuration_it_goes_off_after_every_on(plug: Plug, clock: Clock) -> None:
    _configure(plug, auto_off=True, auto_off_delay=10.0)
    _set(plug, True)
    assert not _pass(plug, clock, 10)


@pytest.mark.parametrize(
    ("initial_state", "was_on", "comes_back"),
    [
        ("on", False, True),
        ("off", True, False),
        ("restore_last", False, False),
        ("restore_last", True, True),
    ],
)
def test_after_a_power_cut_only_its_configuration_counts(
    plug: Plug, clock: Clock, initial_state: str, was_on: bool, comes_back: bool
) -> None:
    _configure(plug, initial_state=initial_state)
    _set(plug, was_on, toggle_after=60)
    plug.power_cut()
    assert "timer_duration" not in _status(plug)
    assert _pass(plug, clock, 3600) is comes_back


def test_the_button_switches_as_a_call_does(plug: Plug, clock: Clock) -> None:
    plug.press()
    assert not _pass(plug, clock, 1)
    assert (_status(plug)["output"], _status(plug)["source"]) == (False, "button")
    assert plug.call("Switch.Toggle", {"id": 0}, PEER) == {"was_on": False}
    assert _pass(plug, clock, 1)


# --- what it measures ---


def test_it_meters_what_its_load_draws_while_it_is_on(plug: Plug, clock: Clock) -> None:
    before_wh = _status(plug)["aenergy"]["total"]
    _pass(plug, clock, 36.0, 100.0)
    assert (_status(plug)["apower"], _status(plug)["current"]) == (100.0, 0.436)
    _set(plug, False)
    _pass(plug, clock, 36.0, 100.0)
    assert _status(plug)["apower"] == 0.0
    assert _status(plug)["aenergy"]["total"] - before_wh == pytest.approx(1.0)


def test_its_first_minute_is_the_one_that_runs(plug: Plug, clock: Clock) -> None:
    for seconds in (29, 30, 30, 30, 1, 10):  # ends of ticks within minutes 0, 0, 1, 1, 2, 2
        _pass(plug, clock, seconds, 36.0)  # 10 mWh a second
    energy = _status(plug)["aenergy"]
    assert energy["by_minute"] == [110.0, 600.0, 590.0]
    assert energy["minute_ts"] == T0_UTC_S + 130


def test_a_minute_without_mains_is_a_minute_of_nothing(plug: Plug, clock: Clock) -> None:
    _pass(plug, clock, 59, 36.0)
    clock.now_s += 120
    assert _status(plug)["aenergy"]["by_minute"] == [0.0, 0.0, 590.0]


# --- faults ---


def test_with_its_timer_asleep_it_stays_off(plug: Plug, clock: Clock) -> None:
    plug.fault = Fault.SLEEPING_TIMER
    _set(plug, False, toggle_after=60)
    assert not _pass(plug, clock, 3600)
    assert _status(plug)["timer_duration"] == 60


def test_a_welded_relay_feeds_its_load_whatever_the_plug_says(plug: Plug, clock: Clock) -> None:
    plug.fault = Fault.WELDED
    _set(plug, False)
    assert _pass(plug, clock, 1)
    assert (_status(plug)["output"], _status(plug)["apower"]) == (False, 100.0)


def test_a_gaping_relay_does_not_close_again(plug: Plug, clock: Clock) -> None:
    plug.fault = Fault.GAPING
    assert _pass(plug, clock, 1)
    _set(plug, False, toggle_after=10)
    assert not _pass(plug, clock, 10)
    assert (_status(plug)["output"], _status(plug)["apower"]) == (True, 0.0)
    plug.fault = None
    assert _pass(plug, clock, 1)


# --- calls ---


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("Switch.Fly", {"id": 0}, 404),
        ("Switch.Set", {"on": True}, -103),
        ("Switch.Set", {"id": 1, "on": True}, -105),
        ("Switch.Set", {"id": 0}, -103),
        ("Switch.Set", {"id": 0, "on": "off"}, -103),
        ("Switch.Set", {"id": 0, "on": False, "toggle_after": "soon"}, -103),
        ("Switch.Set", {"id": 0, "on": False, "toggle_after": 0}, -103),
        ("Switch.Set", {"id": 0, "on": False, "toggle_after": True}, -103),
        ("Switch.SetConfig", {"id": 0}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"initial_state": "perhaps"}}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"auto_on_delay": -1}}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"colour": "red"}}, -103),
    ],
)
def test_a_call_that_is_not_right_fails_and_changes_nothing(
    plug: Plug, method: str, params: Message, code: int
) -> None:
    config = plug.call("Switch.GetConfig", {"id": 0}, PEER)
    with pytest.raises(Failed) as failed:
        plug.call(method, params, PEER)
    assert failed.value.code == code
    assert plug.closed
    assert plug.call("Switch.GetConfig", {"id": 0}, PEER) == config


def test_its_configuration_is_read_back(plug: Plug) -> None:
    factory = plug.call("Switch.GetConfig", {"id": 0}, PEER)
    assert (factory["initial_state"], factory["auto_on"], factory["auto_on_delay"]) == ("on", False, 60.0)
    _configure(plug, initial_state="off", auto_on=True, auto_on_delay=900)
    now = plug.call("Switch.GetConfig", {"id": 0}, PEER)
    assert (now["initial_state"], now["auto_on"], now["auto_on_delay"]) == ("off", True, 900)
    assert now == plug.call("Shelly.GetConfig", {}, PEER)["switch:0"]


def test_its_whole_status_bears_the_switch_and_the_time(plug: Plug, clock: Clock) -> None:
    _pass(plug, clock, 75)
    told = plug.call("Shelly.GetStatus", {}, PEER)
    assert told["switch:0"] == _status(plug)
    assert (told["sys"]["unixtime"], told["sys"]["uptime"]) == (T0_UTC_S + 75, 75)
    assert plug.call("Shelly.ListMethods", {}, PEER)["methods"] == list(METHODS)


def test_every_call_is_noted_with_who_asked(clock: Clock) -> None:
    noted: list[tuple[str, Message, str]] = []
    plug = Plug(clock, clock.utc_s, lambda *asked: noted.append(asked))
    _set(plug, False, toggle_after=60)
    with contextlib.suppress(Failed):
        plug.call("Switch.Fly", {}, PEER)
    assert noted == [
        ("Switch.Set", {"id": 0, "on": False, "toggle_after": 60}, PEER),
        ("Switch.Fly", {}, PEER),
    ]


# --- on the wire ---


@contextlib.asynccontextmanager
async def _served(clock: Clock, password: str | None = None) -> AsyncIterator[tuple[int, Plug]]:
    plug = Plug(clock, clock.utc_s, is_protected=password is not None)
    async with rpc.listening(plug, password) as port:
        yield port, plug


async def _exchange(port: int, request: str) -> tuple[int, dict[str, str], Message]:
    """Status, headers and body of what these bytes get; the device closes after its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.replace("\n", "\r\n").encode())
    async with asyncio.timeout(2.0):
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
