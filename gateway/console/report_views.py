"""The evidence of an instruction on a terminal: words, a table of minutes, and a chart. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.console import chart
from gateway.console.answers import MinuteLine, Report, ReportAsset, ReportStand
from gateway.console.picture import marks
from gateway.console.series import columns, utc_s

LETTERS = {"setpoint taken": "s", "first response": "r"}


def told(report: Report, minutes: Mapping[str, Sequence[MinuteLine]]) -> Iterator[str]:
    """The lines of a report with the minutes of its points."""
    yield from _asked(report)
    for asset in report["assets"]:
        yield ""
        yield from _asset(asset)
    for point, found in minutes.items():
        yield ""
        yield f"{point}, by the minute, {_time(report['since'])} to {_time(report['until'])}"
        yield from _chart(report, point, found)
    if minutes:
        yield chart.LEGEND
    yield ""
    yield "How it stood:"
    yield from map(_stand, report["history"])
    if report["left_out"]:
        yield f"  and {report['left_out']} changes in the middle, left out"
    for point, found in minutes.items():
        yield ""
        yield f"{point}: minute's end, W, Wh, at most W, governed by, quality"
        yield from map(_minute, found)


def _asked(report: Report) -> Iterator[str]:
    delay = f", random delay {report['start_delay_s']} s" if report["start_delay_s"] else ""
    service = " ".join(filter(None, (report["service"], report["service_class"], report["service_ref"])))
    yield f"{report['id']} (revision {report['revision']}): {report['asked']}"
    yield f"  {service}, {report['vector']}"
    yield f"  arrived {_day(report['arrived'])}"
    yield f"  window {_day(report['start'])} to {_time(report['end'])}{delay}"
    yield f"  ended {_day(report['ended'])}" if report["ended"] else "  still open"
    if len(report["steps"]) > 1:
        for step in report["steps"]:
            value = f"{step['power_w']} W" if step["soc"] is None else f"{step['soc']:.0%}"
            yield f"  {_time(step['start'])} to {_time(step['end'])}: {step['kind']} {value}"


def _asset(asset: ReportAsset) -> Iterator[str]:
    stands = " ".join(filter(None, (asset["status"], asset["extent"], asset["evidence"])))
    why = "" if asset["reason"] == "none" else f", {asset['reason']}"
    yield f"{asset['asset']}: {stands}{why}: {asset['text']}".rstrip(": ")
    yield f"  setpoint   {_setting(asset)}"
    yield f"  response   {_response(asset)}"
    limits = ", ".join(f"{limit['reason']} {limit['s']} s" for limit in asset["limits"])
    limited = f"{asset['limited_s']} s" + (f" ({limits})" if limits else "")
    yield f"  in window  held {asset['held_s']} s, idle {asset['idle_s']} s, limited {limited}"
    known = asset["energy_kwh"] is not None
    energy = f"{asset['energy_kwh']:.3f} kWh, {asset['quality']}" if known else "not told (yet)"
    yield f"  energy     {energy}"


def _setting(asset: ReportAsset) -> str:
    if (setting := asset["setting"]) is None:
        return "none was taken by its device"
    what = "raised" if setting["raised"] else f"at most {setting['at_most_w']} W"
    return f"{_exact(setting['at'])}  {what}, {setting['by']}"


def _response(asset: ReportAsset) -> str:
    if (response := asset["response"]) is None:
        quiet = {
            "idle": "it was inside the value before we acted",
            "readBack": "its device says so, no meter",
        }
        return f"no sample shows one: {quiet.get(asset['evidence'], 'it was not seen to follow')}"
    parts = [f"{_exact(response['at'])}  {response['power_w']:.0f} W at {response['source']}"]
    for seconds, of in (
        (response["after_setting_s"], "the setpoint"),
        (response["after_start_s"], "the start"),
        (response["after_arrival_s"], "arrival"),
    ):
        if seconds is not None:
            parts.append(f"{seconds:.1f} s after {of}")
    return f"{parts[0]};" + ",".join(f"{chr(10)}             {part}" for part in parts[1:])


def _chart(report: Report, point: str, minutes: Sequence[MinuteLine]) -> Iterator[str]:
    since, until = utc_s(report["since"]), utc_s(report["until"])
    found = columns(minutes, since, until, chart.WIDTH)
    window = (utc_s(report["start"]), utc_s(report["end"]))
    at = {LETTERS[words]: moment for words, moment in marks(report, point).items()}
    yield from chart.chart(found, window, at)


def _stand(stand: ReportStand) -> str:
    stands = " ".join(filter(None, (stand["status"], stand["extent"], stand["evidence"])))
    why = "" if stand["reason"] in ("", "none") else f", {stand['reason']}"
    text = f": {stand['text']}" if stand["text"] else ""
    return f"  {_time(stand['at'])}  {stand['name']} {stands}{why}{text}"


def _minute(minute: MinuteLine) -> str:
    power, limit = (_watts(minute["power_w"]), _watts(minute["limit_w"]))
    energy = "-" if minute["energy_wh"] is None else f"{minute['energy_wh']:.2f}"
    quality = " ".join([minute["quality"], *minute["reasons"]])
    return (
        f"  {_time(minute['end'])} {power:>7} {energy:>8} {limit:>7}  {minute['governed_by']:10}  {quality}"
    )


def _watts(power_w: float | None) -> str:
    return "-" if power_w is None else f"{power_w:.0f}"


def _day(at: str | None) -> str:
    return "at a time nobody knows" if at is None else at.replace("T", " ")


def _time(at: str) -> str:
    return at[11:19]


def _exact(at: str) -> str:
    return at[11:23]
