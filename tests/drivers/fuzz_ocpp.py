"""Fuzz entry for OCPP: whatever a charger sends, no exception, answers as the schemas say, finite points."""

from __future__ import annotations

import json
import math

from ocpp.messages import CallResult, _validate_payload  # the library's own schemas

from drivers.base import Quality, Sample
from drivers.ocpp.learned import Learned
from drivers.ocpp.rpc import Asked, Rpc
from drivers.ocpp.settings import Settings
from drivers.ocpp.station import Station
from drivers.ocpp.version import version_of
from tests.fakes.port import FakePort


class _StillPort(FakePort):
    def monotonic(self) -> float:
        return 1000.0


def fuzz_ocpp(text: str, ocpp: str = "1.6") -> None:
    """Feed the lines of `text` as frames to a charger's conversation in this version."""
    version = version_of(f"ocpp{ocpp}")
    rpc, port = Rpc(), _StillPort()
    station = Station(Settings(), port, Learned())
    asked = 0
    for line in text.split("\n"):
        rpc.receive(line, 1000.0)
        for event in rpc.events():
            if not isinstance(event, Asked):
                continue
            asked += 1
            answer = version.answer_to(event.action, event.payload, station, 60)
            if answer is None:
                rpc.decline(event, "NotImplemented", "")
            else:
                _validate_payload(CallResult("id", json.loads(json.dumps(answer)), event.action), ocpp)
                rpc.answer(event, answer)
        station.alive()
    assert len(rpc.texts()) >= asked
    for name, sample in port.points.items():
        _plausible(name, sample)


def _plausible(name: str, sample: Sample) -> None:
    assert sample.value is not None, name
    assert math.isfinite(sample.value), name
    assert sample.quality in (Quality.GOOD, Quality.UNCERTAIN), name
