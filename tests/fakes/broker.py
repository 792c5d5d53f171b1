"""The embedded broker (rumqttd, in the wheel `iotcore`) in a process of its own, on a free loopback port.

It speaks MQTT 5 only because of the `[v5.1]` listener written here: without a file it is 3.1.1 and
listens on every address. It enforces no access list and no receive maximum, and a restart forgets all.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.mosquitto import free_port

HOST = "127.0.0.1"
MAX_PAYLOAD_BYTES = 524_288  # twice the contract's largest message
START_WITHIN_S = 5.0

# It ends when its standard input does: with us, however we end.
_SERVE = """
import os, sys, threading, iotcore
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
iotcore.Broker(config_path=sys.argv[1]).run_forever()
"""

_CONFIGURATION = """\
id = 0

[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 4194304
max_segment_count = 4

[v5.1]
name = "v5"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 5000
max_payload_size = {max_payload_bytes}
max_inflight_count = 100
"""


class EmbeddedBroker:
    """A broker of our own. Its configuration and output stay in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.host = HOST
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        config = self._directory / "rumqttd.toml"
        config.write_text(
            _CONFIGURATION.format(host=HOST, port=self.port, max_payload_bytes=MAX_PAYLOAD_BYTES)
        )
        with (self._directory / "rumqttd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(config)], stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + START_WITHIN_S
        while not _listens(self.port):
            assert self._process.poll() is None, "the broker ended at once"
            assert time.monotonic() < deadline_s, f"the broker took no connection in {START_WITHIN_S} s"
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL. Nothing is kept. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
