"""What the service manager is told: ready, stopping, alive. One datagram each (sd_notify(3)).

Started by hand there is no service manager, and nothing is sent.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

STATUS_MAX = 200  # characters of the one line that `systemctl status` shows


class Notify:
    """The way to the service manager that `environment` names, if it names one."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # "@" is the abstract namespace (unix(7)), written as a NUL.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.watchdog_s = _watchdog_s(environment)
        """How often to call `alive`: half of what the service manager waits; None if it does not watch."""

    def ready(self) -> None:
        """The first decision has been taken."""
        self._send("READY=1")

    def stopping(self) -> None:
        """A stop has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Everything that must turn has turned."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for a person."""
        self._send("STATUS=" + " ".join(text.split())[:STATUS_MAX])

    def _send(self, line: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            try:
                channel.sendto(line.encode(), self._address)
            except OSError:  # gone or full: the service manager's loss, never ours
                return


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant_for = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdecimal() or int(microseconds) == 0 or meant_for != str(os.getpid()):
        return None
    return int(microseconds) / 2e6
