"""The page on limits says what is in force where nothing is configured: its table is made by the code.

`python -m tests.daemon.test_limits_page` writes the table anew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from gateway.core.model import Care, Limits, Reason
from gateway.daemon.limits import limits_of
from tests.daemon.configuration import parsed

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
BEGIN, END = "<!-- defaults: made by the code -->", "<!-- end -->"
HOME = '[site]\nid = "home"\nzone = "Europe/London"\n'
DEVICE = """
[devices.plug]
driver = "shelly"
host = "192.168.1.31"
"""
SENSORS = """
[devices.sensors]
driver = "mqtt_local"
broker = { host = "127.0.0.1" }
points.dhw_c = { topic = "tank" }
points.outdoor_c = { topic = "outside" }
points.legionella = { topic = "cycle" }
"""
SEEN = """water_c = ["sensors.dhw_c"]
outdoor_c = ["sensors.outdoor_c"]
legionella = ["sensors.legionella"]"""
KINDS = {
    "car": 'class = "ev"',
    "heat": f'class = "heat"\n{SEEN}',
    "heat with a store": f'class = "heat"\nstorage = true\n{SEEN}',
    "heat without a compressor": f'class = "heat"\ncompressor = false\n{SEEN}',
    "fridge": 'class = "plug"\ncontrol = "plug"\n[asset.it.care]\nappliance = "fridge"',
    "freezer": 'class = "plug"\ncontrol = "plug"\n[asset.it.care]\nappliance = "freezer"',
    "other plug": 'class = "plug"',
}


def limits(kind: str) -> Limits:
    """What holds for an asset of which nothing more is said."""
    said, _, care = KINDS[kind].partition("\n[")
    asset = f"[asset.it]\nnominal_w = 1000\n{said}\n" + (f"[{care}\n" if care else "")
    device = DEVICE if "control" in said else SENSORS
    return limits_of(parsed(f"{HOME}{device}{asset}"), 1_790_000_000.0)["it"]


def seconds(value: float) -> str:
    """A time as the page says it; what is not there is a dash."""
    if value == 0 or math.isinf(value):
        return "-"
    for unit, word in ((3600, "h"), (60, "min")):
        if value % unit == 0:
            return f"{value / unit:.0f} {word}"
    return f"{value:g} s"


def number(value: float | None) -> str:
    """A count or a temperature as the page says it."""
    return "-" if value is None else f"{value:g}"


ROWS: dict[str, Callable[[Limits], str]] = {
    "longest hold": lambda found: seconds(found.longest_hold_s),
    "rest after it": lambda found: seconds(found.rest_s),
    "most its room may fall in a hold, where that is seen, K": lambda found: (
        "-" if math.isinf(found.most_fall_k) else number(found.most_fall_k)
    ),
    "blocks within a day": lambda found: number(found.blocks_per_day),
    "held within a day, in all": lambda found: seconds(found.held_per_day_s),
    "minimum run": lambda found: seconds(found.min_run_s),
    "minimum rest": lambda found: seconds(found.min_rest_s),
    "longest off": lambda found: seconds(found.longest_off_s),
    "shortest on between two offs": lambda found: seconds(found.shortest_on_s),
    "starts we may cause an hour": lambda found: number(found.care.starts_per_hour),
    "starts we may cause a day": lambda found: number(found.care.starts_per_day),
    "between two changes of its power": lambda found: seconds(found.care.change_every_s),
    "least rise worth a change, W (or half an ampere)": lambda found: number(found.care.min_change_w or None),
    "from a pause to the next run, and the other way": lambda found: seconds(found.care.pause_s),
    "warmest air, °C": lambda found: number(found.care.air_max_c),
    "a room older than this is unknown": lambda found: seconds(found.room_max_age_s),
    "hysteresis of the room, K": lambda found: number(found.hysteresis_c),
    "a hold is short when it is colder outside, where that is seen, °C": lambda found: number(
        found.care.frost_c
    ),
    "longest hold then": lambda found: seconds(found.care.frost_hold_s),
    "rest after a hold when it is below 0 °C outside": lambda found: seconds(found.care.frost_rest_s),
    "no hold when it is colder outside, °C": lambda found: number(found.care.outdoor_min_c),
    "days to the next heating against legionella, where its cycle is seen": lambda found: number(
        found.care.legionella_every_days
    ),
    "coldest hot water, where it is seen, °C": lambda found: number(found.water_min_c),
    "hysteresis of the hot water, K": lambda found: number(found.water_hysteresis_c),
}


def table() -> str:
    """The defaults, a row a limit and a column a kind of asset."""
    found = {kind: limits(kind) for kind in KINDS}
    head = [f"| limit | {' | '.join(KINDS)} |", f"| --- |{' --- |' * len(KINDS)}"]
    rows = [f"| {name} | {' | '.join(say(found[kind]) for kind in KINDS)} |" for name, say in ROWS.items()]
    return "\n".join([*head, *rows])


def _page() -> tuple[str, str, str]:
    before, _, rest = PAGE.read_text().partition(f"{BEGIN}\n")
    within, _, after = rest.partition(f"\n{END}")
    return before, within, after


def test_the_table_of_defaults_is_the_codes() -> None:
    assert _page()[1] == table()


def test_every_word_a_limit_gives_the_aggregator_is_explained() -> None:
    rules = (Path(__file__).parents[2] / "gateway" / "core" / "bounds").glob("*.py")
    given = {Reason[name] for rule in rules for name in re.findall(r"Reason\.([A-Z_]+)", rule.read_text())}
    missing = {reason for reason in given - {Reason.NONE} if f"`{reason}`" not in PAGE.read_text()}
    assert missing == set()


def test_every_field_that_limits_an_asset_is_on_the_page() -> None:
    page = PAGE.read_text()
    named = {name for name in _leaves(Limits) if f"{name}`" in page}
    assert named == _leaves(Limits)


def _leaves(kind: type) -> set[str]:
    """Names of the fields, of those of care too; a car's wishes are one row."""
    own = {each.name for each in fields(kind)} - {"care"}
    return own | ({each.name for each in fields(Care)} if kind is Limits else set())


if __name__ == "__main__":
    first, _, last = _page()
    PAGE.write_text(f"{first}{BEGIN}\n{table()}\n{END}{last}")
