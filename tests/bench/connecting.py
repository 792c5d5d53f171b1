"""What one more connection costs a broker: processor and memory, with a password and with certificates."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

from gateway.daemon.uplink import UplinkSettings
from tests.bench import packets
from tests.bench.link import Link
from tests.bench.usage import usage
from tests.fakes.authority import Authority
from tests.fakes.mosquitto import Mosquitto

USER, PASSWORD = "home-7f3a", "of a bench"
AT_ONCE = 20
DEFAULTS = UplinkSettings("127.0.0.1", 0, "")


@dataclass(frozen=True, slots=True)
class Connecting:
    """One way to connect: the broker's processor time (ms) and resident memory (kB) for each connection."""

    way: str
    cpu_ms: float
    rss_kb: float


async def measure(folder: Path, count: int) -> list[Connecting]:
    """Each way, with a broker of its own, `count` connections that stay."""
    authority = Authority.new(folder / "fleet-authority")
    certificate, key = authority.issue("broker")
    listener = (f"cafile {authority.ca}", f"certfile {certificate}", f"keyfile {key}")
    mutual = ("require_certificate true", "use_identity_as_username true")
    ours = _context(authority)
    ours.load_cert_chain(*authority.issue(USER))
    return [
        await _measure(folder / "plain", "password", (), None, count),
        await _measure(folder / "tls", "TLS 1.3, password", listener, _context(authority), count),
        await _measure(folder / "mutual", "TLS 1.3, client certificate", (*listener, *mutual), ours, count),
    ]


async def _measure(
    folder: Path, way: str, lines: tuple[str, ...], tls: ssl.SSLContext | None, count: int
) -> Connecting:
    quiet = ("log_type none", "log_type notice")
    with Mosquitto(folder, users={USER: PASSWORD}, extra=(*lines, *quiet)) as broker:
        before, links = usage(broker.pid), list[Link]()
        for first in range(0, count, AT_ONCE):
            some = range(first, min(first + AT_ONCE, count))
            links += await asyncio.gather(*(_open(broker.port, number, tls) for number in some))
        after = usage(broker.pid)
        for link in links:
            link.close()
    cpu_s, rss_mb = after.cpu_s - before.cpu_s, after.rss_mb - before.rss_mb
    return Connecting(way, cpu_s * 1000 / count, rss_mb * 1000 / count)


async def _open(port: int, number: int, tls: ssl.SSLContext | None) -> Link:
    hello = packets.connect(
        f"homeflex-{number}",
        USER,
        PASSWORD,
        keepalive_s=DEFAULTS.keepalive_s,
        session_expiry_s=DEFAULTS.session_expiry_s,
        receive_maximum=DEFAULTS.receive_maximum,
    )
    return await Link.open(port, hello, lambda _link, _message: None, float(DEFAULTS.keepalive_s), tls)


def _context(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.ca)
