"""A Shelly of Gen2 or newer on a real socket, as its maker documents it, with the faults real ones have.

HTTP, digest authentication and JSON-RPC are written here from the documents; no code is shared with the
product. Time is a clock the test sets. Firmware before 2.0 takes each nonce once (`nonce_uses = 1`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Self

EPOCH_UTC_S = 1_800_000_000.0
NOT_FOUND, BAD_ARGUMENT = 404, -103


class _Error(Exception):
    """An error frame: code and message."""


@dataclass
class Switch:
    """One relay with its meter. `aenergy_wh` None: it has none, and no power either."""

    number: int = 0
    clock: Callable[[], float] = monotonic
    load_w: float = 110.0
    aenergy_wh: float | None = 7258.589
    ret_aenergy_wh: float | None = None
    output: bool = True
    source: str = "init"
    config: dict[str, Any] = field(
        default_factory=lambda: {
            "initial_state": "on",
            "auto_on": True,
            "auto_on_delay": 3600.0,
            "auto_off": False,
            "auto_off_delay": 60.0,
        }
    )
    forgets_timers: bool = False  # switches, and drops toggle_after
    sticks: bool = False  # takes commands, and stays as it is
    keeps_config: bool = True
    _timer: tuple[float, float] | None = None  # started at, lasts (s)

    @property
    def on(self) -> bool:
        """Whether the load has mains now."""
        self._settle()
        return self.output

    def turn(self, on: bool, source: str, toggle_after_s: float | None = None) -> bool:
        """Switch; whether it was on. A timer of the command goes before `auto_on` and `auto_off`."""
        self._settle()
        was_on = self.output
        if not self.sticks:
            self._move(on, source, toggle_after_s)
        return was_on

    def start_up(self) -> None:
        """After a power cut: timers are gone, `initial_state` decides."""
        states = {"on": True, "off": False, "restore_last": self.output, "match_input": False}
        self.output, self.source, self._timer = states[self.config["initial_state"]], "init", None

    def lose_timer(self) -> None:
        """What no document allows: the running timer ends and nothing happens."""
        self._timer = None

    def status(self) -> dict[str, Any]:
        self._settle()
        found: dict[str, Any] = {"id": self.number, "source": self.source, "output": self.output}
        if self._timer:
            started_s, lasts_s = self._timer
            found |= {"timer_started_at": EPOCH_UTC_S + started_s, "timer_duration": lasts_s}
        if self.aenergy_wh is not None:
            power_w = self.load_w if self.output else 0.0
            found |= {"apower": power_w, "voltage": 229.4, "current": power_w / 229.4}
            found["aenergy"] = {"total": self.aenergy_wh, "by_minute": [0.0] * 3, "minute_ts": 1_800_000_000}
        if self.ret_aenergy_wh is not None:
            found["ret_aenergy"] = {"total": self.ret_aenergy_wh}
        return found | {"temperature": {"tC": 41.2, "tF": 106.2}}

    def _settle(self) -> None:
        while self._timer and self.clock() >= sum(self._timer):
            self._move(not self.output, "timer", None)

    def _move(self, on: bool, source: str, toggle_after_s: float | None) -> None:
        self.output, self.source, self._timer = on, source, None
        automatic = "auto_off" if on else "auto_on"
        lasts_s = self.config[f"{automatic}_delay"] if self.config[automatic] else None
        if toggle_after_s is not None:
            lasts_s = None if self.forgets_timers else toggle_after_s
        if lasts_s is not None:
            self._timer = (self.clock(), lasts_s)


@dataclass
class Shelly:
    """Serves on a free loopback port. The fault fields take effect with the next request."""

    switches: list[Switch] = field(default_factory=lambda: [Switch()])
    clock: Callable[[], float] = monotonic
    password: str | None = None
    algorithm: str = "SHA-256"
    nonce_uses: int | None = None  # how many requests one nonce is good for; None: any number
    says_stale: bool = True
    asks_in_frame: bool = False  # a 401 inside HTTP 200, as on a WebSocket
    shelly: dict[str, Any] = field(
        default_factory=lambda: {
            "id": "shellyplusplugs-aabbccddeeff",
            "mac": "AABBCCDDEEFF",
            "model": "SNPL-00112EU",
            "gen": 2,
            "fw_id": "20231219-134003/1.1.0-g34b5d4f",
            "ver": "1.1.0",
            "app": "PlusPlugS",
            "slot": 0,
        }
    )
    recorded: dict[str, Any] | None = None  # answers Shelly.GetStatus in place of the switches
    delay_s: float = 0.0
    silent: bool = False  # takes requests, answers none
    chunked: bool = False
    closes_after_answer: bool = False
    hang_up_on: int = 0  # this many next requests: closed without an answer
    cut_after: int | None = None  # bytes of the next answer, then the connection ends
    http_status: int | None = None  # answered to every call, without a body
    errors: dict[str, tuple[int, str]] = field(default_factory=dict)  # method -> error frame
    mangle: Callable[[bytes], bytes] | None = None  # applied to each whole answer
    connections: int = 0
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # those that were carried out
    requests: int = 0
    signed: list[str] = field(default_factory=list)  # Authorization headers as they came
    last_request: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    started_s: float = 0.0
    _nonce: int = 0x5F00
    _used: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Take no connections, and drop those there are."""
        if self._server:
            self._server.close()
        self.drop()

    def drop(self) -> None:
        """Cut every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    def close_idle(self) -> None:
        """End every connection in an orderly way, as a device short of them does."""
        for writer in list(self._open):
            writer.close()

    def mains_cut(self) -> None:
        """Off and on again at once."""
        self.started_s = self.clock()
        for switch in self.switches:
            switch.start_up()
        self.drop()

    def commands(self) -> list[tuple[str, dict[str, Any]]]:
        """The calls that change something."""
        return [call for call in self.calls if ".Set" in call[0]]

    # --- HTTP ---------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lengths = re.findall(r"(?im)^content-length: *(\d+)", head)
                body = await reader.readexactly(int(lengths[0]) if lengths else 0)
                self.requests += 1
                self.last_request.set()
                await self._respond(writer, head, body)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _respond(self, writer: asyncio.StreamWriter, head: str, body: bytes) -> None:
        if self.hang_up_on:
            self.hang_up_on -= 1
            raise ConnectionResetError
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.silent:
            return
        answer = self._answer(head, body)
        answer = self.mangle(answer) if self.mangle else answer
        if self.cut_after is not None:
            writer.write(answer[: self.cut_after])
            self.cut_after = None
            await writer.drain()
            raise ConnectionResetError
        writer.write(answer)
        await writer.drain()
        if self.closes_after_answer:
            raise ConnectionResetError

    def _answer(self, head: str, body: bytes) -> bytes:
        method, target, _ = head.split(" ", 2)
        if (method, target) == ("GET", "/shelly"):
            return self._http(200, json.dumps(self.shelly | {"auth_en": bool(self.password)}).encode())
        if (method, target) != ("POST", "/rpc"):
            return self._http(404, b"Not Found")
        if self.http_status:
            return self._http(self.http_status, b"")
        call = json.loads(body)
        if self.password and not self._is_signed(head, call):
            return self._challenge(call)
        return self._http(200, json.dumps(self._frame(call)).encode())

    def _http(self, status: int, body: bytes, *headers: str) -> bytes:
        lines = [f"HTTP/1.1 {status} Whatever", "Server: ShellyHTTP/1.0.0", *headers]
        if self.closes_after_answer:
            lines.append("Connection: close")
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
            parts = [body[at : at + 50] for at in range(0, len(body), 50)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))
        else:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    # --- digest authentication (RFC 7616) -----------------------------------------------------------

    def _challenge(self, call: dict[str, Any]) -> bytes:
        self._nonce, self._used = self._nonce + 1, 0
        realm = self.shelly["id"]
        if self.asks_in_frame:
            asked = {"auth_type": "digest", "nonce": self._nonce, "nc": 1, "realm": realm}
            message = json.dumps(asked | {"algorithm": self.algorithm})
            frame = {"id": call["id"], "src": realm, "error": {"code": 401, "message": message}}
            return self._http(200, json.dumps(frame).encode())
        stale = ", stale=true" if self.says_stale and self.signed else ""
        asked_for = f'Digest qop="auth", realm="{realm}", nonce="{self._nonce:x}", algorithm={self.algorithm}'
        return self._http(401, b"", f"WWW-Authenticate: {asked_for}{stale}")

    def _is_signed(self, head: str, call: dict[str, Any]) -> bool:
        if self.asks_in_frame:
            said, words = call.get("auth"), "dummy_method:dummy_uri"
        else:
            lines = re.findall(r"(?im)^authorization: *Digest (.*?)\r?$", head)
            self.signed += lines
            said = {k: q or p for k, q, p in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', "".join(lines))}
            words = "POST:/rpc"
        if not said or (self.nonce_uses is not None and self._used >= self.nonce_uses):
            return False
        nonce = str(self._nonce) if self.asks_in_frame else f"{self._nonce:x}"
        who = self._hashed(f"admin:{self.shelly['id']}:{self.password}")
        chain = f"{who}:{nonce}:{said['nc']}:{said['cnonce']}:auth:{self._hashed(words)}"
        if said["response"] != self._hashed(chain) or int(str(said["nc"]), 16) <= self._used:
            return False
        self._used = int(str(said["nc"]), 16)
        return True

    def _hashed(self, text: str) -> str:
        return hashlib.new(self.algorithm.replace("-", ""), text.encode()).hexdigest()

    # --- RPC ----------------------------------------------------------------------------------------

    def _frame(self, call: dict[str, Any]) -> dict[str, Any]:
        frame = {"id": call["id"], "src": self.shelly["id"], "dst": call.get("src")}
        try:
            return frame | {"result": self._result(call["method"], call.get("params", {}))}
        except _Error as error:
            code, message = error.args
            return frame | {"error": {"code": code, "message": message}}

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method in self.errors:
            raise _Error(*self.errors[method])
        self.calls.append((method, params))
        if method == "Shelly.GetStatus":
            return self.recorded or self._status()
        known = {
            "Switch.GetStatus": self._get_status,
            "Switch.Set": self._set,
            "Switch.GetConfig": self._get_config,
            "Switch.SetConfig": self._set_config,
        }
        if method not in known:
            raise _Error(NOT_FOUND, f"No handler for {method}")
        if "id" not in params:
            raise _Error(BAD_ARGUMENT, "Missing required argument 'id'!")
        return known[method](self._switch(params["id"]), params)

    def _status(self) -> dict[str, Any]:
        parts = {f"switch:{switch.number}": switch.status() for switch in self.switches}
        uptime_s = int(self.clock() - self.started_s)
        return parts | {"sys": {"mac": self.shelly["mac"], "uptime": uptime_s}, "wifi": {"rssi": -53}}

    def _switch(self, number: int) -> Switch:
        for switch in self.switches:
            if switch.number == number:
                return switch
        raise _Error(-105, f"Argument 'id', value {number} not found!")

    def _get_status(self, switch: Switch, _params: dict[str, Any]) -> dict[str, Any]:
        return switch.status()

    def _set(self, switch: Switch, params: dict[str, Any]) -> dict[str, Any]:
        return {"was_on": switch.turn(params["on"], "HTTP_in", params.get("toggle_after"))}

    def _get_config(self, switch: Switch, _params: dict[str, Any]) -> dict[str, Any]:
        return {"id": switch.number, "name": None, **switch.config}

    def _set_config(self, switch: Switch, params: dict[str, Any]) -> dict[str, Any]:
        if switch.keeps_config:
            switch.config |= params["config"]
        return {"restart_required": False}
