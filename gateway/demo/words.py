"""Observations in words: one line for each thing that happens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from gateway.demo.asked import CHARGER, charge_limit, switch
from gateway.demo.evidence import FOR_EVER_UTC_S, Evidence, Status
from gateway.demo.log import Observation
from gateway.demo.reading import Reading
from gateway.demo.scenes import TITLES

_BY_NUMBER = re.compile(r" by instruction [0-9a-f-]{36}")  # nobody reads thirty-six digits in passing
_POLLS = ("GetConfiguration", "GetCompositeSchedule", "TriggerMessage")


def line(one: Observation) -> str | None:
    """One observation in a line; None if it is nothing to tell."""
    text = _line(one)
    return None if text is None else plain(text)


def plain(text: str) -> str:
    """Text from elsewhere, on one line and without anything a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def scene_words(number: int) -> str:
    """A scene's line."""
    title = TITLES[number - 1] if 1 <= number <= len(TITLES) else ""
    return f"--- scene {number}: {title}"


def command_words(arguments: Sequence[object]) -> str:
    """What the household typed, without where its home is."""
    typed = takewhile(lambda word: word != "--config", map(str, arguments))
    return plain(f"homeflex {' '.join(typed)}")


def power_words(one: Observation) -> str:
    """A second of the home in a line."""
    facts = one.facts
    return (
        f"car {facts['charger_w']:.0f} W at {facts['car_soc']:.0%}, "
        f"pump {facts['pump_w']:.0f} W, room {facts['room_c']:.2f} °C, "
        f"freezer {facts['freezer_w']:.0f} W at {facts['freezer_c']:.1f} °C, house {facts['house_w']:.0f} W"
    )


def status_words(status: Status) -> str:
    """A status in a line."""
    found = [
        f"{t.get('asset') or t.get('target')} {t.get('status')} {t.get('extent', '')} {t.get('text') or ''}"
        for t in status.targets
    ]
    said = _BY_NUMBER.sub("", ", ".join(" ".join(one.split()) for one in found))
    return plain(said if status.reception == "OK" and said else f"{status.reception} {said}".strip())


def reading_words(reading: Reading) -> str:
    """A minute of a point in a line."""
    power = "no value" if reading.power_kw is None else f"{reading.power_kw:.3f} kW"
    reasons = f" ({', '.join(reading.reasons)})" if reading.reasons else ""
    return f"{reading.point} minute {reading.seq}: {power}, {reading.quality}{reasons}"


def _line(one: Observation) -> str | None:
    facts = one.facts
    match one.kind:
        case "scene":
            return scene_words(facts["number"]) if facts["what"] == "began" else None
        case "sent":
            return None if facts["what"] == "ack" else f"{facts['by']} sends {_sent(one)}"
        case "written":
            return f"pump takes register {facts['register']} = {facts['value']}"
        case "asked":
            return _asked(one)
        case "process":
            code = "" if facts["code"] is None else f", code {facts['code']}"
            return f"{facts['name']} {facts['pid']} {facts['what']}{code}"
        case "command" if facts["what"] == "given":
            return f"household: {command_words(facts['arguments'])}"
        case "command":
            return f"answer ({facts['code']}): {facts['output']}"
        case "received":
            return _heard(one)
    return None


def _sent(one: Observation) -> str:
    """What was sent, under the name it was sent by: an instruction says for whom and how much."""
    what, scene = one.facts["what"], one.facts["scene"]
    sent = Evidence([one]).sent(scene, what)
    if what == "cancel" or sent is None or not sent.targets:
        return str(what)
    targets = ", ".join(target.removeprefix("asset:") for target in sent.targets)
    return f"{what}: {targets} at most {sent.cap_w / 1000:g} kW, {sent.service}"


def _asked(one: Observation) -> str | None:
    """What a device was told; what it was merely asked is no news."""
    limit, relay, device = charge_limit(one), switch(one), one.facts["device"]
    if limit is not None:
        return f"charger takes a limit of {limit.limit_a:g} A for {limit.ends_utc_s - one.at_utc_s:.0f} s"
    if relay is not None:
        back = f", back after {relay.toggle_after_s:.0f} s" if relay.toggle_after_s < FOR_EVER_UTC_S else ""
        return f"plug is switched {'on' if relay.on else 'off'}{back}"
    if device == CHARGER and one.facts["what"] not in _POLLS:
        return f"charger takes {one.facts['what']}"
    return None


def _heard(one: Observation) -> str | None:
    seen = Evidence([one])
    told = [status_words(status) for status in seen.statuses(0.0, FOR_EVER_UTC_S)]
    told += [reading_words(reading) for reading in seen.readings()]
    return "aggregator hears " + "; ".join(told) if told else None
