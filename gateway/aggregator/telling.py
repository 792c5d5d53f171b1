"""What a home says, as lines a person can read. Whatever cannot be read is told as it is, never skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gateway.aggregator.heard import Heard
from gateway.wire.moment import moment_of

Body = dict[str, Any]


def lines(heard: Heard, *, readings: bool = False) -> Iterator[str]:
    """A message in lines: when, whose, what. Minutes and half-hours only where wanted."""
    if heard.below in ("telemetry", "settlement") and not readings:
        return
    try:
        told = list(_TELL[heard.below](heard.body))
    except (KeyError, TypeError, AttributeError, ValueError):
        told = [f"{heard.below}: {heard.payload.decode(errors='replace')[:200]}"]
    for one in told:
        yield _plain(f"{moment_of(heard.at_utc_s)}  {heard.site}  {one}")


def status_line(body: Body) -> str:
    """A status in a line."""
    said = [] if body["reception"] == "OK" else [_because(body)]
    head = f"{body['id'] or 'a message'} r{_or(body['revision'])} {body['reception']}"
    return "  ".join([head, *said, *map(_target, body["targets"])])


def _target(one: Body) -> str:
    facts = [one["status"], one.get("extent", "")]
    facts += [f"({one['evidence']})" if "evidence" in one else ""]
    facts += [f"limit {one['limitKw']:g} kW" if "limitKw" in one else ""]
    facts += [f"measured {one['measuredKw']:g} kW" if "measuredKw" in one else ""]
    facts += [f"delayed {one['delayS']} s" if one.get("delayS") else ""]
    return f"{one.get('asset') or one.get('target')}: {' '.join(filter(None, facts))}{_because(one)}"


def _because(one: Body) -> str:
    reason, text = one.get("reason", "none"), one.get("text")
    return f" [{', '.join(filter(None, [reason if reason != 'none' else '', text or '']))}]".replace(
        " []", ""
    )


def _answers(body: Body) -> Iterator[str]:
    if body["schema"] != "homeflex.summary.v1":
        yield f"status    {status_line(body)}"
        return
    window = f"{body['window']['start']} to {body['window']['end']}"
    yield f"summary   {body['id']} r{body['revision']} {body['service']} {window}"
    for one in body["assets"]:
        energy = "energy unknown" if one["energyKwh"] is None else f"{one['energyKwh']:.3f} kWh"
        limits = "".join(f", {limit['reason']} {limit['s']} s" for limit in one["limits"])
        held = f"held {one['heldS']} s, idle {one['idleS']} s, limited {one['limitedS']} s"
        yield f"summary   {one['asset']}: {one['status']}, {energy} {one['quality']}, {held}{limits}"


def _event(body: Body) -> Iterator[str]:
    about = " ".join(filter(None, [body["asset"], *body["dispatchIds"]]))
    often = f" ({body['count']} times)" if body["count"] > 1 else ""
    yield f"event     {body['severity']} {body['kind']} {about}{_because(body)}{often}"


def _presence(body: Body) -> Iterator[str]:
    there = "online" if body["online"] else f"gone: {body.get('reason')}"
    yield f"presence  {there}, boot {body['boot']}"


def _state(body: Body) -> Iterator[str]:
    clock = "trusted" if body["clock"]["trusted"] else "not trusted: nothing begins"
    signatures = "required" if body["signaturesRequired"] else "not required"
    grid = f"minutes end at second {body['offsetS']}"
    yield f"state     clock {clock}; signatures {signatures}{_trust(body)}; {grid}"
    for one in body["assets"]:
        raises = ", can be raised" if one["can"]["raises"] else ""
        kinds = ", ".join(one["can"]["accepts"]) or "nothing"
        yield f"state     {one['id']} ({one['class']}, {one['nominalKw']:g} kW) takes {kinds}{raises}"
    for one in body["devices"]:
        if not one["healthy"]:
            yield f"state     device {one['id']}: {one['text']}"


def _trust(body: Body) -> str:
    found = body.get("keys")
    return f", trust store {found['version']} ({found['source']})" if found else ", no trust store"


def _availability(body: Body) -> Iterator[str]:
    for one in body["scopes"]:
        now = "unknown" if one["nowKw"] is None else f"{one['nowKw']:g} kW"
        ways = [f"{way} {_hold(one[way])}" for way in ("down", "up") if one[way]]
        yield f"can       {one['target']} now {now}; {'; '.join(ways) or 'nothing on offer'}"


def _hold(one: Body) -> str:
    lasts = "without a known end" if one["forS"] is None else f"for {one['forS']} s"
    return f"to {one['toKw']:g} kW {lasts}, until {one['until']}"


def _telemetry(body: Body) -> Iterator[str]:
    for point, bundle in body["points"].items():
        for one in bundle["readings"]:
            power = "no value" if one["powerKw"] is None else f"{one['powerKw']:.3f} kW"
            reasons = "".join(f" {reason}" for reason in one["reasons"])
            late = " backfill" if body["backfill"] else ""
            yield f"minute    {point} {one['seq']} to {one['end']}: {power} {one['quality']}{reasons}{late}"


def _reply(body: Body) -> Iterator[str]:
    if body["reception"] != "OK":
        yield f"reply     {body['reception']}{_because(body)}"
    elif "state" in body:
        yield from _state(body["state"])
    elif "readings" in body:
        rows = body["readings"]
        numbers = f"{rows['firstSeq']} to {rows['lastSeq']} of {rows['stream']}"
        yield f"reply     {rows['log']} {numbers} come again"
    else:
        yield from (f"reply     {name} {value}" for name, value in body["diagnose"].items())


def _settlement(body: Body) -> Iterator[str]:
    for point, bundle in body["points"].items():
        for one in bundle["halfHours"]:
            flows = [f"{way} {_or(one[f'{way}Kwh'])} kWh" for way in ("import", "export")]
            reasons = "".join(f" {reason}" for reason in one["reasons"])
            period = f"{one['settlementDate']} period {one['settlementPeriod']} r{one['revision']}"
            yield f"half-hour {point} {one['seq']} {period}: {', '.join(flows)} {one['quality']}{reasons}"


_TELL: dict[str, Callable[[Body], Iterator[str]]] = {
    "dispatch/status": _answers,
    "event": _event,
    "presence": _presence,
    "state": _state,
    "availability": _availability,
    "reply": _reply,
    "telemetry": _telemetry,
    "settlement": _settlement,
}


class Changes:
    """Retained documents are told line by line as they change; their own times do not count."""

    def __init__(self) -> None:
        self._last: dict[str, list[str]] = {}

    def lines(self, heard: Heard, *, readings: bool = False) -> list[str]:
        """The lines of a message that the last one on its topic did not have."""
        told = list(lines(heard, readings=readings))
        if heard.below not in ("presence", "state", "availability"):
            return told
        known, self._last[heard.topic] = self._last.get(heard.topic, []), [_timeless(one) for one in told]
        return [one for one in told if _timeless(one) not in known]


def _timeless(line: str) -> str:
    return line.split("  ", 2)[2]


def _or(value: object) -> str:
    return "?" if value is None else str(value)


def _plain(text: str) -> str:
    """On one line, and without anything a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
