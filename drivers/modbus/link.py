"""One Modbus TCP connection at a time to one endpoint, shared by the units behind it.

Knows registers and requests, not points. Every failure of the library or the socket leaves here as one
of the four errors. asyncio sets TCP_NODELAY on every TCP transport.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from drivers.base import DriverError, Refused, Unintelligible, Unreachable
from drivers.cancellation import heed_cancellation
from drivers.modbus.frame import flaw
from drivers.profile import Table

# What the library would log comes back as an error, once, in the supervisor's words.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

# Modbus Application Protocol 1.1b3, 7: exception codes.
_NOT_THERE = {1: "illegal function", 2: "illegal address", 3: "illegal value"}
_LATER = {5: "still working", 6: "busy", 10: "gateway path unavailable", 11: "gateway target silent"}
_READ = {
    Table.COIL: AsyncModbusTcpClient.read_coils,
    Table.DISCRETE: AsyncModbusTcpClient.read_discrete_inputs,
    Table.INPUT: AsyncModbusTcpClient.read_input_registers,
    Table.HOLDING: AsyncModbusTcpClient.read_holding_registers,
}


class NotThere(Refused):
    """The device has no such register, or does not take this value in it."""


class Link:
    """Makes the connection when someone needs it, and a new one after it was lost."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._opening = asyncio.Lock()
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection:
            self._connection.close()

    async def connection(self, timeout_s: float) -> Connection:
        """The live connection.

        Raises:
            Unreachable: nobody took it within `timeout_s`.
        """
        async with self._opening:
            if self._connection is None or self._connection.lost:
                connection = Connection(self._host, self._port, timeout_s)
                await connection.open()
                self._connection = connection
            return self._connection


class Connection:
    """One TCP connection, one request at a time. Once lost it stays lost: its users start again."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.lost = True
        self._where = f"{host}:{port}"
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._asked = b""
        self._flaw: str | None = None
        self._deadline: asyncio.Timeout | None = None
        self._client = AsyncModbusTcpClient(
            host,
            port=port,
            timeout=timeout_s + 1,  # ours comes first
            retries=0,
            reconnect_delay=0,
            trace_packet=self._passing,
            trace_connect=self._turned,
        )

    async def open(self) -> None:
        """Connect.

        Raises:
            Unreachable: refused, or no answer in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                connected = await self._client.connect()
            heed_cancellation()
        except TimeoutError:
            connected = False
        except BaseException:
            self.close()
            raise
        if not connected:
            self.close()
            raise Unreachable(f"{self._where} takes no connection")

    def close(self) -> None:
        """Give the connection up, for all its users."""
        self.lost = True
        self._client.close()

    async def read(
        self, unit: int, table: Table, address: int, count: int, timeout_s: float
    ) -> tuple[int, ...]:
        """Registers (or bits) as they are on the wire; see `ask` for what is raised."""
        read = _READ[table]
        answer = await self._ask(lambda: read(self._client, address, count=count, device_id=unit), timeout_s)
        found = answer.bits if table in (Table.COIL, Table.DISCRETE) else answer.registers
        if len(found) < count:
            raise Unintelligible(f"{len(found)} values where {count} were asked for")
        return tuple(int(word) for word in found[:count])

    async def write(
        self, unit: int, table: Table, address: int, words: Sequence[int], timeout_s: float, *, many: bool
    ) -> None:
        """Write a coil (05), one register (06) or, with `many`, registers (16)."""
        client = self._client
        request: Callable[[], Awaitable[ModbusPDU]]
        if table is Table.COIL:
            request = lambda: client.write_coil(address, bool(words[0]), device_id=unit)  # noqa: E731
        elif many:
            request = lambda: client.write_registers(address, list(words), device_id=unit)  # noqa: E731
        else:
            request = lambda: client.write_register(address, words[0], device_id=unit)  # noqa: E731
        await self._ask(request, timeout_s)

    async def _ask(self, request: Callable[[], Awaitable[ModbusPDU]], timeout_s: float) -> ModbusPDU:
        """Send one request and wait for its answer.

        Raises:
            Unreachable: no answer in time (one for another unit is none), connection lost, device busy.
            Unintelligible: an answer that breaks the protocol. The connection is given up.
            Refused: an exception answer; `NotThere` where the address or value is the reason.
        """
        async with self._turn:
            if self.lost:
                raise Unreachable(f"{self._where}: the connection was lost")
            self._flaw = None
            try:
                async with asyncio.timeout(timeout_s) as self._deadline:
                    answer = await request()
            except (TimeoutError, ModbusException, OSError) as error:
                raise self._failure(timeout_s) from error
            finally:
                self._deadline = None
        heed_cancellation()
        if answer.isError():
            raise _refusal(answer)
        return answer

    def _failure(self, timeout_s: float) -> DriverError:
        """Why there is no answer. What was under way is unknown, so the connection ends here."""
        gone, self.lost = self.lost, True
        self._client.close()
        if self._flaw:
            return Unintelligible(f"{self._where}: {self._flaw}")
        why = "the connection was lost" if gone else f"no answer within {timeout_s:g} s"
        return Unreachable(f"{self._where}: {why}")

    def _passing(self, sending: bool, data: bytes) -> bytes:
        """Look at bytes on their way; bytes that cannot be an answer end the wait and go no further."""
        if sending:
            self._asked = data
            return data
        self._flaw = self._flaw or (flaw(data, self._asked) if self._asked else "an answer to nothing")
        if self._flaw is None:
            return data
        self._stop_waiting()
        return b""

    def _turned(self, connected: bool) -> None:
        """The library would wait for its full timeout on a connection that is already gone."""
        self.lost = not connected
        if self.lost:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._deadline and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time())


def _refusal(answer: Any) -> DriverError:
    code = answer.exception_code
    if code in _NOT_THERE:
        return NotThere(f"the device answered {code} ({_NOT_THERE[code]})")
    if code in _LATER:
        return Unreachable(f"the device answered {code} ({_LATER[code]})")
    return Refused(f"the device answered exception {code}")
