"""Sensors on a broker the home already has (as zigbee2mqtt or ebusd): a number in a message is a point."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self

import aiomqtt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from drivers.base import DeviceEvent, DevicePort, DriverKind, Links, Quality, Refused, Sample
from drivers.mqtt_local.link import Link, connected
from drivers.mqtt_local.payload import number

LONGEST_SECRET_BYTES = 4096


def _exact(topic: str) -> str:
    if (
        not topic
        or re.search(r"[+#\x00-\x1f]", topic)
        or topic.startswith("$")
        or len(topic.encode()) > 65535
    ):
        raise ValueError("should be one exact topic, without + or #, not starting with $")
    return topic


def _found(path: Path) -> Path:
    """With the service manager's credential directory filled in."""
    if path.parts[:1] != ("$CREDENTIALS_DIRECTORY",):
        return path
    if not (directory := os.environ.get("CREDENTIALS_DIRECTORY")):
        raise ValueError("$CREDENTIALS_DIRECTORY is only there under a service with LoadCredential=")
    return Path(directory, *path.parts[1:])


class Broker(BaseModel):
    """The local broker. The password is only ever named by its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1)
    port: int = Field(default=1883, gt=0, lt=65536)
    username: str | None = None
    password_file: Annotated[Path, AfterValidator(_found)] | None = None

    @model_validator(mode="after")
    def _has_a_user_for_the_password(self) -> Self:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username")
        return self


class Source(BaseModel):
    """Where a point comes from: value = number * scale + offset, in the unit the point's name says.

    `json` is the place in a JSON payload, as in "a.b"; without it the payload is a plain number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    topic: Annotated[str, AfterValidator(_exact)]
    path: str | None = Field(default=None, alias="json", min_length=1)
    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)
    qos: Literal[0, 1] = 0


PointName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class MqttLocalSettings(BaseModel):
    """One device: a broker and the points it gives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    broker: Broker
    points: dict[PointName, Source] = Field(min_length=1)


class MqttLocalDriver:
    """One device on a local broker. `dropped` counts, by point, the messages that held no number."""

    def __init__(self, settings: MqttLocalSettings, links: Links) -> None:
        self._settings = settings
        self._links = links
        self._heard: set[str] = set()
        self.dropped: Counter[str] = Counter()

    async def run(self, port: DevicePort) -> None:
        """Listen until cancelled.

        Raises:
            Unreachable: no broker, or the connection is lost.
            Refused: the broker turns us away, or the password cannot be read.
        """
        broker = self._settings.broker
        key = ("mqtt_local", broker.host, broker.port, broker.username)
        async with self._links.use(key, partial(_connected, broker)) as link:
            await link.listen(_topics(self._settings), partial(self._take, port))

    def _take(self, port: DevicePort, message: aiomqtt.Message) -> None:
        topic = message.topic.value
        samples: dict[str, Sample] = {}
        for name, source in self._settings.points.items():
            if source.topic != topic or (message.retain and name in self._heard):
                continue  # of a retained message nobody knows the age: it never follows a live one
            value = _value(name, source, message.payload)
            if value is None:
                self._drop(name, source, port)
                continue
            self._heard.add(name)
            samples[name] = (
                Sample(value, Quality.UNCERTAIN, ("retained",)) if message.retain else Sample(value)
            )
        if samples:
            port.publish(samples)

    def _drop(self, name: str, source: Source, port: DevicePort) -> None:
        self.dropped[name] += 1
        if self.dropped[name] == 1:
            place = f" at {source.path!r}" if source.path else ""
            text = f"{name}: a message on {source.topic!r} has no number{place}; such messages are dropped"
            port.report(DeviceEvent("unreadable", text, "warning"))


def _topics(settings: MqttLocalSettings) -> dict[str, int]:
    """Each topic once, with the highest QoS asked for."""
    topics: dict[str, int] = {}
    for source in settings.points.values():
        topics[source.topic] = max(source.qos, topics.get(source.topic, 0))
    return topics


def _value(name: str, source: Source, payload: object) -> float | None:
    found = number(payload, source.path) if isinstance(payload, bytes) else None
    if found is None:
        return None
    value = found * source.scale + source.offset
    if not math.isfinite(value):
        return None
    return round(value) if name.endswith(("_w", "_ws")) else value


def _connected(broker: Broker) -> AbstractAsyncContextManager[Link]:
    return connected(broker.host, broker.port, broker.username, _password(broker))


def _password(broker: Broker) -> str | None:
    """The first line of the password file.

    Raises:
        Refused: it cannot be read; a person has to mend it.
    """
    if broker.password_file is None:
        return None
    try:
        with broker.password_file.open("rb") as file:
            return file.read(LONGEST_SECRET_BYTES).decode().partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"cannot read the broker's password from {broker.password_file}: {error}") from error


def _driver(settings: MqttLocalSettings, links: Links) -> MqttLocalDriver:
    return MqttLocalDriver(settings, links)


def _points(settings: MqttLocalSettings) -> frozenset[str]:
    return frozenset(settings.points)


KIND = DriverKind(settings=MqttLocalSettings, open=_driver, points=_points)
