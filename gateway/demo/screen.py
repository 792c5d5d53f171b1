"""The picture on a terminal: the home's powers and limits, the scenes in time, what was said last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.demo.claim import Verdict
from gateway.demo.glance import Glance, Played
from gateway.demo.reading import Reading
from gateway.demo.scenes import TITLES
from gateway.demo.setting import CAR_W, EV, FREEZER, FREEZER_W, HEAT, POINTS, PUMP_W, ROOM_MIN_C
from gateway.demo.words import plain

LEAST_WIDTH, LEAST_HEIGHT = 96, 30
_HOUSE_W = 600.0
_ROOM_C, _INSIDE_C = (18.0, 5.0), (-25.0, 18.0)  # where the thin bars begin, and how much they show
_BOUNDARY_W = CAR_W + PUMP_W + FREEZER_W + _HOUSE_W
_BAR, _TIME = 31, 36
_NEWS = 7
_RUN_S = 300.0
_BLOCKS = " ▏▎▍▌▋▊▉█"
_COLOURS = {EV: "dodger_blue2", HEAT: "dark_orange", FREEZER: "turquoise2", "house": "grey62"}
_BY = {"home": "green", "aggregator": "magenta", "household": "yellow", "outside": "red"}
_LIMIT, _QUIET = "bold yellow", "dim"


@dataclass(frozen=True, slots=True)
class _Row:
    """One load: its name, what it draws, what is full, and what else can be seen of it."""

    asset: str
    name: str
    power_w: float
    full_w: float
    of: str  # what the thin bar shows
    share: float  # 0..1 of it
    state: str
    mark: float | None = None  # where on the thin bar the household's limit is


def picture(seen: Glance, verdicts: Mapping[int, Verdict]) -> RenderableType:
    """The whole screen at this moment."""
    return Group(
        Panel(_home(seen), title=_headline(seen), title_align="left", border_style=_QUIET),
        Panel(_scenes(seen, verdicts), title="scenes", title_align="left", border_style=_QUIET),
        _said(seen),
    )


def bar(share: float, width: int, style: str, mark: float | None = None) -> Text:
    """A bar of blocks, an eighth of a cell fine; `mark` (0..1) is where a limit is."""
    eighths = round(8 * width * min(1.0, max(0.0, share)))
    cells = [8] * (eighths // 8) + ([eighths % 8] if eighths % 8 else [])
    text = Text("".join(_BLOCKS[cell] for cell in cells).ljust(width, "·"), style=style)
    text.stylize(_QUIET, len(cells))
    return _marked(text, mark, width)


def line(share: float, width: int, style: str, mark: float | None = None) -> Text:
    """A thin bar."""
    cells = round(width * min(1.0, max(0.0, share)))
    text = Text("━" * cells + "┄" * (width - cells), style=style)
    text.stylize(_QUIET, cells)
    return _marked(text, mark, width)


def _marked(text: Text, mark: float | None, width: int) -> Text:
    if mark is None:
        return text
    at = min(width - 1, round(width * max(0.0, mark)))
    return Text.assemble(text[:at], ("┃", _LIMIT), text[at + 1 :])


# --- the home ---


def _headline(seen: Glance) -> Text:
    if not seen.began_utc_s:
        return Text("homeflex demo")
    playing = [number for number, played in sorted(seen.scenes.items()) if played.ended_utc_s is None]
    now = f"scene {', '.join(map(str, playing))}" if playing else "between the scenes"
    text = Text(f"homeflex demo, {_clock(seen.now_utc_s - seen.began_utc_s)}, {now}")
    for name, since_utc_s in seen.gone.items():
        text.append(f"  {plain(name)} gone for {seen.now_utc_s - since_utc_s:.0f} s", style="bold red")
    return text


def _home(seen: Glance) -> RenderableType:
    second = seen.second
    if not second:
        return Text("waiting for the first second")
    table = Table.grid(padding=(0, 1), expand=True)
    for width in (9, _BAR):
        table.add_column(width=width, min_width=width, no_wrap=True)
    table.add_column(width=8, min_width=8, no_wrap=True, justify="right")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for row in _rows(second):
        hold = seen.holds.now.get(row.asset)
        mark = hold.at_most_w / row.full_w if hold else None
        style = _COLOURS[row.asset]
        table.add_row(
            Text(row.name, style="bold"),
            bar(row.power_w / row.full_w, _BAR, style, mark),
            _kw(row.power_w),
            _limit(seen, row.asset),
        )
        thin = line(row.share, _BAR, style, row.mark)
        table.add_row(Text(f" {row.of}", _QUIET), thin, Text(row.state, _QUIET), _reason(seen, row.asset))
    drawn_w = second["pump_w"] + second["charger_w"] + second["freezer_w"]
    for name, power_w, full_w, style in (
        ("house", second["house_w"], _HOUSE_W, _COLOURS["house"]),
        ("boundary", drawn_w + second["house_w"], _BOUNDARY_W, "orchid"),
    ):
        table.add_row(Text(name, style="bold"), bar(power_w / full_w, _BAR, style), _kw(power_w), "")
    return table


def _rows(second: Mapping[str, float]) -> Sequence[_Row]:
    soc, room_c, inside_c = second["car_soc"], second["room_c"], second["freezer_c"]
    charge = f"{soc:.1%}" if second["car_connected"] else "unplugged"
    room, least = (room_c - _ROOM_C[0]) / _ROOM_C[1], (ROOM_MIN_C - _ROOM_C[0]) / _ROOM_C[1]
    inside = (inside_c - _INSIDE_C[0]) / _INSIDE_C[1]
    return (
        _Row(EV, "car", second["charger_w"], CAR_W, "battery", soc, charge),
        _Row(HEAT, "heat pump", second["pump_w"], PUMP_W, "room", room, f"{room_c:.1f} °C", least),
        _Row(FREEZER, "freezer", second["freezer_w"], FREEZER_W, "inside", inside, f"{inside_c:.1f} °C"),
    )


def _limit(seen: Glance, asset: str) -> Text:
    """The limit the device was told, and for how long it keeps it by itself."""
    hold = seen.holds.now.get(asset)
    if hold is None:
        return Text("its owner's", style=_QUIET)
    left_s = hold.until_utc_s - seen.now_utc_s
    words = f"at most {_kw(hold.at_most_w)}" if hold.at_most_w else "held off"
    style = "bold red" if "daemon" in seen.gone else _LIMIT
    return Text.assemble((words, _LIMIT), (f", lets go in {left_s:.0f} s", style if left_s < 1e6 else ""))


def _reason(seen: Glance, asset: str) -> Text:
    """What the home last told the aggregator of it."""
    word = seen.word_on(asset)
    if word is None:
        return Text("no instruction", style=_QUIET)
    if "daemon" in seen.gone:
        comes = "comes" if asset in seen.holds.now else "came"
        return Text(f"without the daemon it {comes} back by itself", style="red")
    extent, text = str(word.get("extent")), plain(str(word.get("text") or ""))
    if extent == "full":
        return Text.assemble(("followed", "green"), f", {plain(str(word.get('evidence') or ''))}")
    said = {"partial": ("in part", "yellow"), "none": ("not now", "red")}.get(extent, ("waits", _QUIET))
    return Text.assemble(said, f": {text}" if text else "")


def _kw(power_w: float) -> str:
    return f"{power_w / 1000:.2f} kW"


# --- the scenes ---


def _scenes(seen: Glance, verdicts: Mapping[int, Verdict]) -> RenderableType:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=3, min_width=3)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(width=_TIME, min_width=_TIME)
    span_s = max(_RUN_S, seen.now_utc_s - seen.began_utc_s)
    for number, title in enumerate(TITLES, start=1):
        played = seen.scenes.get(number)
        sign, style = _sign(played, verdicts.get(number))
        table.add_row(
            Text(f"{sign} {number}", style=style),
            Text(title, style="bold" if played and played.ended_utc_s is None else "" if played else _QUIET),
            _span(seen, played, span_s, style),
        )
    return table


def _sign(played: Played | None, verdict: Verdict | None) -> tuple[str, str]:
    if played is None:
        return "·", _QUIET
    if played.ended_utc_s is None:
        return "▶", "bold yellow"
    if verdict is None:
        return "■", "yellow"
    return ("✔", "bold green") if verdict.passed else ("✘", "bold red")


def _span(seen: Glance, played: Played | None, span_s: float, style: str) -> Text:
    now = min(_TIME - 1, int(_TIME * (seen.now_utc_s - seen.began_utc_s) / span_s))
    text = Text("┄" * _TIME, style=_QUIET)
    if played is not None:
        begin = int(_TIME * (played.began_utc_s - seen.began_utc_s) / span_s)
        until = int(_TIME * ((played.ended_utc_s or seen.now_utc_s) - seen.began_utc_s) / span_s)
        width = max(1, min(_TIME, until) - begin)
        text = Text.assemble(
            ("┄" * begin, _QUIET), ("━" * width, style), ("┄" * (_TIME - begin - width), _QUIET)
        )
    return Text.assemble(text[:now], ("│", "bold"), text[now + 1 :])


# --- what was said ---


def _said(seen: Glance) -> RenderableType:
    table = Table.grid(expand=True)
    table.add_column(ratio=1)
    table.add_column(width=38)
    table.add_row(
        Panel(_news(seen), title="what happened and what was heard", title_align="left", border_style=_QUIET),
        Panel(_readings(seen), title="last minutes", title_align="left", border_style=_QUIET),
    )
    return table


def _news(seen: Glance) -> RenderableType:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=4, min_width=4, no_wrap=True, style=_QUIET)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    found = list(seen.news)[-_NEWS:]
    for news in found:
        text = news.text.removeprefix("aggregator hears ")
        table.add_row(_clock(news.at_utc_s - seen.began_utc_s), Text(text, style=_BY[news.by]))
    for _ in range(_NEWS - len(found)):
        table.add_row()
    return table


def _readings(seen: Glance) -> RenderableType:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=8, min_width=8, no_wrap=True)
    table.add_column(width=9, min_width=9, no_wrap=True, justify="right")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for point in POINTS:
        table.add_row(point, *_reading(seen.readings.get(point)))
    lost = Text(f"{seen.missing} without a value", style="yellow" if seen.missing else _QUIET)
    told = Text(f"{seen.minutes} heard", style=_QUIET)
    for _ in range(_NEWS - len(POINTS) - 1):
        table.add_row()
    return Group(table, Text.assemble(told, ", ", lost))


def _reading(reading: Reading | None) -> tuple[RenderableType, RenderableType]:
    if reading is None:
        return "", Text("none yet", style=_QUIET)
    power = "-" if reading.power_kw is None else f"{reading.power_kw:.3f} kW"
    if reading.quality == "OK":
        return power, Text(f"no. {reading.seq}", style=_QUIET)
    return power, Text(plain(f"{reading.quality} no. {reading.seq}"), style="yellow")


def _clock(since_s: float) -> str:
    return f"{int(since_s) // 60}:{int(since_s) % 60:02d}"
