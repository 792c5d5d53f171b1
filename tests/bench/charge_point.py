"""The charger every program gets: a car is plugged in and takes what it may; it notes each set-point.

OCPP 1.6J as JSON by hand. It has nothing to configure and refuses nothing: it is there to be timed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

ID = "garage"
DEMAND_W = 7360
SAMPLE_S = 10.0
SET_POINT = "SetChargingProfile"
_DEADLINE_S = 10.0


class ChargePoint:
    """One charger with one session; `speed` is how much faster than life its meter sends."""

    def __init__(self, port: int, speed: float = 1.0) -> None:
        self.on_command: Callable[[str, float], None] = lambda _what, _at_s: None
        self.limited_w = float(DEMAND_W)
        self._port = port
        self._speed = speed
        self._ids = count(1)
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._socket: ClientConnection | None = None
        self._wh = 1_000_000.0

    @contextlib.asynccontextmanager
    async def plugged_in(self) -> AsyncIterator[None]:
        """Connected, reconnecting, and charging while the block runs."""
        task = asyncio.create_task(self._stay(), name="charger")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _stay(self) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, ConnectionError):
                await self._session()
            await asyncio.sleep(0.1)

    async def _session(self) -> None:
        address = f"ws://127.0.0.1:{self._port}/{ID}"
        async with (
            connect(address, subprotocols=["ocpp1.6"], compression=None) as self._socket,  # type: ignore[list-item]
            asyncio.TaskGroup() as tasks,
        ):
            speaking = tasks.create_task(self._speak(), name="charger speaks")
            async for text in self._socket:
                await self._take(json.loads(text), time.perf_counter())
            speaking.cancel()

    async def _speak(self) -> None:
        await self._ask("BootNotification", {"chargePointVendor": "Bench", "chargePointModel": "One"})
        await self._status("Preparing")
        started = {"connectorId": 1, "idTag": "bench", "meterStart": round(self._wh), "timestamp": _now()}
        transaction = (await self._ask("StartTransaction", started))["transactionId"]
        await self._status("Charging")
        while True:
            self._wh += self.limited_w * SAMPLE_S / 3600
            values = [
                {"value": f"{self.limited_w:.0f}", "measurand": "Power.Active.Import", "unit": "W"},
                {"value": f"{self._wh:.0f}", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            ]
            sample = {"timestamp": _now(), "sampledValue": values}
            meant = {"connectorId": 1, "transactionId": transaction, "meterValue": [sample]}
            await self._ask("MeterValues", meant)
            await asyncio.sleep(SAMPLE_S / self._speed)

    async def _status(self, status: str) -> None:
        await self._ask("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status})

    async def _ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert self._socket
        id_ = f"c{next(self._ids)}"
        answer = self._answers[id_] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps([2, id_, action, payload]))
        async with asyncio.timeout(_DEADLINE_S):
            return await answer

    async def _take(self, frame: list[Any], at_s: float) -> None:
        if frame[0] != 2:
            if (waiting := self._answers.pop(frame[1], None)) and not waiting.done():
                waiting.set_result(frame[2] if frame[0] == 3 else {})
            return
        _, id_, action, payload = frame
        answer: dict[str, Any] = {"status": "Accepted"}
        if action == "GetConfiguration":
            answer = {"configurationKey": [], "unknownKey": []}
        elif action == SET_POINT and "transactionId" in payload["csChargingProfiles"]:
            (period,) = payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
            self.limited_w = min(DEMAND_W, period["limit"] * 230)
            self.on_command(SET_POINT, at_s)
        elif action == "ClearChargingProfile":
            self.limited_w = float(DEMAND_W)
        assert self._socket
        await self._socket.send(json.dumps([3, id_, answer]))


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
