"""Answers as a person reads them on a terminal. Pure: an answer in, something Rich can print out."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.console.answers import (
    AssetLine,
    DeviceLine,
    Dispatch,
    InstructionAsset,
    InstructionLine,
    KeyLine,
    Status,
    TrustedKeys,
    Why,
    WhyAll,
)
from gateway.core.span import in_words


def status(answer: Status) -> RenderableType:
    """The home on one screen."""
    parts: list[RenderableType] = [_head(answer)]
    if answer["assets"]:
        parts.append(_assets(answer["assets"]))
    if answer["instructions"]:
        parts.append(_instructions(answer["instructions"]))
    parts.append(_devices(answer["devices"]))
    return Group(*parts)


def why(answer: WhyAll) -> RenderableType:
    """The reasons of each asset, in words."""
    return Group(*(_why(asset) for asset in answer["assets"]))


def dispatch(answer: Dispatch) -> RenderableType:
    """What is asked of the home, one instruction after another."""
    if not answer["instructions"]:
        return Text("nothing is asked of this home")
    return Group(*(_asked(instruction) for instruction in answer["instructions"]))


def keys(answer: TrustedKeys) -> RenderableType:
    """The root, the trust store in force, and whether each of its keys counts now."""
    lines = Text()
    lines.append("root ")
    lines.append(answer["root"] or "none is pinned (security.root): no trust store is taken from afar")
    if answer["version"] is None:
        lines.append("\nthere is no trust store: nobody's signature counts", style="yellow")
        return lines
    source = "from afar" if answer["source"] == "remote" else "from the local file"
    lines.append(f"\ntrust store version {answer['version']}, {source}")
    return Group(lines, _keys(answer["keys"])) if answer["keys"] else lines.append(", without a key")


def watts(power_w: float | None) -> str:
    """A power as a person says it."""
    if power_w is None:
        return "-"
    return f"{power_w:.0f} W" if abs(power_w) < 1000 else f"{power_w / 1000:.2f} kW"


def held(asset: AssetLine | Why) -> str:
    """What a setpoint asks."""
    if asset["raised"]:
        return "raised"
    at_most_w = asset["at_most_w"]
    return "own control" if at_most_w is None else f"at most {watts(at_most_w)}"


def _head(answer: Status) -> Text:
    clock, link = answer["clock"], answer["uplink"]
    lines = Text()
    lines.append(f"{answer['site']}", style="bold")
    lines.append(f"   homeflex {answer['version']}   home draws {watts(answer['boundary_w'])}\n")
    if not link["configured"]:
        uplink = "no aggregator configured"
    elif link["up"]:
        uplink = f"aggregator connected, {link['unsent']} to send"
    else:
        uplink = f"aggregator not reached: {link['why']}, {link['unsent']} wait"
    lines.append(f"{uplink}\n", style="" if link["up"] else "yellow")
    if clock["trusted"]:
        lines.append(f"clock {clock['utc']}")
    else:
        lines.append("clock not trusted: nothing new is begun", style="yellow")
    if not answer["signatures_required"]:
        lines.append("\ninstructions are obeyed UNSIGNED (security.require_signatures = false)", style="red")
    return lines


def _assets(assets: list[AssetLine]) -> Table:
    table = Table("asset", "draws", "is", "now", "because", box=None, pad_edge=False, title_justify="left")
    for asset in assets:
        because = f"{asset['governor']}: {asset['text']}"
        is_at = asset["car"]["text"] if asset["car"] else _temperatures(asset)
        table.add_row(asset["id"], watts(asset["power_w"]), is_at, held(asset), because)
    return table


def _temperatures(asset: AssetLine) -> str:
    """Of the room, and of the hot water where it is seen."""
    room = "" if asset["room_c"] is None else f"{asset['room_c']:.1f} °C"
    water = "" if asset["water_c"] is None else f"water {asset['water_c']:.1f} °C"
    return ", ".join(word for word in (room, water) if word) or "-"


def _instructions(instructions: list[InstructionLine]) -> Text:
    lines = Text()
    for instruction in instructions:
        window = f"{instruction['start'][11:19]}-{instruction['end'][11:19]}Z"
        lines.append(f"instruction {instruction['id']}   {instruction['service']} {window}\n")
        for asset in instruction["assets"]:
            lines.append(f"  {asset['asset']}: {_life(asset)}\n")
    return lines


def _asked(instruction: InstructionLine) -> Text:
    start, end = (instruction[edge].replace("T", " ") for edge in ("start", "end"))
    lines = Text()
    lines.append(f"{instruction['id']}", style="bold")
    lines.append(f"   {instruction['service']}, {instruction['service_class']}")
    lines.append("   by hand" if instruction["vector"] == "manual" else "   by the hub")
    lines.append(f"\n  {start} to {end}\n  {instruction['asked']}\n")
    for asset in instruction["assets"]:
        lines.append(f"  {asset['asset']}: {_life(asset)}\n")
    return lines


def _life(asset: InstructionAsset) -> str:
    """One asset's life on an instruction: how far it is, how far it gets, and why."""
    words = [asset["status"], asset["extent"], asset["reason"], asset["text"]]
    if asset["short_w"] and asset["extent"] in ("partial", "none"):
        words.append(f"short by {watts(asset['short_w'])}")
    return ", ".join(word for word in words if word)


def _keys(keys: list[KeyLine]) -> Table:
    table = Table("key", "for", "from", "until", "now", box=None, pad_edge=False)
    for key in keys:
        start, end = (key[edge][:16].replace("T", " ") for edge in ("not_before", "not_after"))
        table.add_row(
            key["kid"], key["role"], start, end, key["text"], style="" if key["counts"] else "yellow"
        )
    return table


def _devices(devices: list[DeviceLine]) -> Table:
    table = Table("device", "speaks", "answers", "if we are gone", box=None, pad_edge=False)
    for device in devices:
        since = in_words(device["since_s"])
        answers = f"for {since}" if device["online"] else f"not for {since}: {device['why']}"
        style = "" if device["online"] else "yellow"
        table.add_row(device["name"], device["driver"], answers, device["failsafe"], style=style)
    return table


def _why(asset: Why) -> RenderableType:
    lines = Text()
    lines.append(f"{asset['asset']}: {held(asset)}", style="bold")
    lines.append(f"\n  {asset['governor']}: {asset['text']}")
    if asset["car"]:
        lines.append(f"\n  car: {asset['car']}")
    lines.append(f"\n  slack: {asset['slack']}")
    if asset["preheat"]:
        lines.append(f"\n  pre-heat: {asset['preheat']}")
    for limit in asset["limits"]:
        bounds = [
            f"{word} {watts(value)}"
            for word, value in (("at least", limit["at_least_w"]), ("at most", limit["at_most_w"]))
            if value is not None
        ]
        lines.append(f"\n  limit ({limit['rank']}): {', '.join(bounds)} - {limit['text']}")
    for instruction in asset["instructions"]:
        lines.append(f"\n  instruction {instruction['instruction']}: {_life(instruction)}")
    for field, source in asset["sources"].items():
        lines.append(f"\n  {field}: {source}")
    lines.append(f"\n  if the gateway is gone: {asset['failsafe']}")
    if asset["next_change_s"] is not None:
        lines.append(f"\n  may change by itself in {in_words(asset['next_change_s'])}")
    lines.append("\n")
    return lines
