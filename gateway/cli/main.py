"""The commands. Each is a question a fitter would ask; `--json` gives the same answer to a program.

Exit codes: 0 done; 1 not done (the message says why); 2 wrong usage; 3 the daemon does not answer.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from gateway.cli import aggregator, past, spreadsheet, start
from gateway.cli.span import seconds
from gateway.console.answers import Question

CONFIG = Path(start.CONFIG)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="homeflex: a household's electric load as flexibility, within the household's limits.",
)
config_app = typer.Typer(
    no_args_is_help=True,
    help="The site's configuration.",
    epilog="Example: homeflex config check homeflex.toml",
)
app.add_typer(config_app, name="config")
app.add_typer(aggregator.app, name="aggregator")

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="HOMEFLEX_CONFIG", help="The site's configuration file."),
]
OneAsset = Annotated[str | None, typer.Argument(help="Which asset.")]
WholeHome = Annotated[bool, typer.Option("--home", help="The whole home instead of one asset.")]
For = Annotated[str, typer.Option("--for", help="How long: 90s, 30m, 2h or 1d.")]
Until = Annotated[
    str | None, typer.Option("--until", help="Until when instead, local: 07:00 or 2026-11-27T07:00.")
]
End = Annotated[bool, typer.Option("--end", help="End it now.")]
OneInstruction = Annotated[
    str, typer.Argument(metavar="ID", help="Which instruction, or how its id begins; status lists them.")
]
Since = Annotated[str, typer.Option(help="From when on: 24h or 45d (ago), or local, as 2026-11-01T07:00.")]
CsvFile = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="As CSV into this file; - is the terminal.")
]
AsJson = Annotated[bool, typer.Option("--json", help="The answer as JSON.")]
out = Console(soft_wrap=True, markup=False, highlight=False, emoji=False)


@app.command(epilog="Example: homeflex run --config /etc/homeflex/homeflex.toml")
def run(config: ConfigFile = CONFIG, as_json: AsJson = False) -> None:
    """Run the daemon in the foreground; --json writes its log as JSON lines."""
    import gateway.app as daemon

    raise typer.Exit(daemon.run(config, json_log=as_json))


@app.command(epilog="Example: homeflex demo --for 300 --json run.json")
def demo(
    for_s: Annotated[
        int | None,
        typer.Option("--for", help="How long it runs (s).", show_default="300, --open until Ctrl-C"),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the raw observations to this file.")
    ] = None,
    judge: Annotated[
        Path | None, typer.Option("--judge", help="Only judge the observations in this file.")
    ] = None,
    sabotage: Annotated[
        int | None, typer.Option("--sabotage", help="Break the device or network for this scene.")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Draw the run, or the one judged, into this SVG file.")
    ] = None,
    open_keys: Annotated[
        Path | None,
        typer.Option(
            "--open", metavar="KEYS", help="No scenes: a home for your own aggregator, by this trust store."
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="With --open: the root key's file, for trust stores from afar.")
    ] = None,
) -> None:
    """A simulated home on its real protocols, with the real daemon: eight scenes, judged from outside.

    With --open it plays none, prints where to connect, and obeys whoever signs (docs/aggregator.md).
    """
    if open_keys and any((json_file, judge, sabotage, plot_file)):
        raise typer.BadParameter("--open plays no scenes: nothing to record, judge, break or draw")
    if root and not open_keys:
        raise typer.BadParameter("--root goes with --open")
    try:
        import gateway.demo.director as director
        import gateway.demo.guest as guest
    except ModuleNotFoundError as error:
        if error.name != "iotcore":
            raise
        _fail('the demo brings a broker of its own: pip install "homeflex[demo]"', as_json=False)
    if open_keys:
        raise typer.Exit(guest.receive(guest.Guest(open_keys, root), for_s))
    if judge:
        raise typer.Exit(director.judge(judge, plot_file))
    raise typer.Exit(director.show(for_s or 300, json_file, sabotage, plot_file))


@app.command(epilog="Example: homeflex status")
def status(config: ConfigFile = CONFIG, as_json: AsJson = False) -> None:
    """The home on one screen: link, clock, assets and why, instructions, devices."""
    from gateway.console import views

    answer = _ask(config, {"ask": "status"}, as_json)
    _print(answer, as_json, views.status)


@app.command(epilog="Example: homeflex why heat")
def why(
    asset: Annotated[str | None, typer.Argument(help="One asset; all if left out.")] = None,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Why each asset does what it does: the limits, instructions and readings that decided."""
    from gateway.console import views

    answer = _ask(config, {"ask": "why", "asset": asset}, as_json)
    _print(answer, as_json, views.why)


@app.command(epilog="Example: homeflex override heat --for 2h")
def override(
    asset: OneAsset = None,
    home: WholeHome = False,
    for_: For = "2h",
    until: Until = None,
    end: End = False,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Take an asset back from every instruction and schedule for a while; local limits still hold."""
    question = _lasting({"ask": "override"}, asset, home=home, for_=for_, until=until, end=end)
    _print(_ask(config, question, as_json), as_json, lambda done: done["done"])


@app.command(epilog="Example: homeflex pause ev --until 07:00")
def pause(
    asset: OneAsset = None,
    home: WholeHome = False,
    for_: For = "2h",
    until: Until = None,
    end: End = False,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Hold an asset off for a while, as far as comfort, charge and the appliance's own limits let it."""
    question = _lasting({"ask": "pause"}, asset, home=home, for_=for_, until=until, end=end)
    _print(_ask(config, question, as_json), as_json, lambda done: done["done"])


@app.command("opt-out", epilog="Example: homeflex opt-out 0193b3f0")
def opt_out(
    id_: OneInstruction,
    asset: Annotated[str | None, typer.Argument(help="One asset; all if left out.")] = None,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """End the home's part in one instruction, or that of one asset, for good; all others go on."""
    answer = _ask(config, {"ask": "opt-out", "id": id_, "asset": asset}, as_json)
    _print(answer, as_json, lambda done: done["done"])


@app.command(epilog="Example: homeflex dispatch")
def dispatch(config: ConfigFile = CONFIG, as_json: AsJson = False) -> None:
    """What the aggregator asks of the home: when, what, of whom, and how each asset does on it."""
    from gateway.console import views

    _print(_ask(config, {"ask": "dispatch"}, as_json), as_json, views.dispatch)


@app.command(epilog="Example: homeflex keys")
def keys(config: ConfigFile = CONFIG, as_json: AsJson = False) -> None:
    """Whose signatures count: the root key's fingerprint, the trust store in force, and each of its keys."""
    from gateway.console import views

    _print(_ask(config, {"ask": "keys"}, as_json), as_json, views.keys)


@app.command(epilog="Example: homeflex accept 0193b3f0")
def accept(id_: OneInstruction, config: ConfigFile = CONFIG, as_json: AsJson = False) -> None:
    """Accept what an instruction asks of the household's own hands; nothing is moved for it."""
    _print(_ask(config, {"ask": "accept", "id": id_}, as_json), as_json, lambda done: done["done"])


@app.command(epilog="Example: homeflex decline 0193b3f0")
def decline(id_: OneInstruction, config: ConfigFile = CONFIG, as_json: AsJson = False) -> None:
    """Decline what an instruction asks of the household's own hands, for good, also after `accept`."""
    _print(_ask(config, {"ask": "decline", "id": id_}, as_json), as_json, lambda done: done["done"])


@app.command("skip-delay", epilog="Example: homeflex skip-delay")
def skip_delay(
    id_: Annotated[
        str | None,
        typer.Argument(metavar="ASSET|ID", help="One asset or instruction; all that wait if left out."),
    ] = None,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Skip what is left of a random delay: charging starts now, an instruction starts, or lets go."""
    answer = _ask(config, {"ask": "skip-delay", "id": id_}, as_json)
    _print(answer, as_json, lambda done: done["done"])


@app.command(epilog="Example: homeflex soc 54")
def soc(
    percent: Annotated[float, typer.Argument(min=0, max=100, help="How full the car is now (%).")],
    asset: Annotated[str | None, typer.Argument(help="Which car, if there are several.")] = None,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Say how full the car is, where nothing measures it; it counts on from here until it is unplugged."""
    if 0 < percent < 1:
        raise typer.BadParameter(f"{percent:g} is a share, not per cent; {percent * 100:.0f} would be right")
    answer = _ask(config, {"ask": "soc", "asset": asset, "soc": percent / 100}, as_json)
    _print(answer, as_json, lambda done: done["done"])


@app.command(epilog="Example: homeflex sessions --since 2026-11-01 --csv sessions.csv")
def sessions(
    asset: Annotated[str | None, typer.Argument(help="Which car; all if left out.")] = None,
    since: Annotated[
        str | None, typer.Option(help="From when on, local: 2026-11-01 or 2026-11-01T07:00.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until before when, as --since.")] = None,
    detail: Annotated[
        bool, typer.Option("--detail", help="Each plug-in, start, stop and change of rate, and why.")
    ] = False,
    csv_file: CsvFile = None,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """The charge sessions of the last twelve months: when, how much, how often the rate changed, and why."""
    from gateway.console import charge_views

    _csv_or_json(csv_file, as_json)
    question: Question = {"ask": "sessions", "asset": asset, "since": since, "until": until}
    answer = _all_sessions(config, question, as_json)
    if csv_file:
        _export(csv_file, charge_views.table(answer, detail=detail), as_json)
    else:
        _print(answer, as_json, charge_views.detailed if detail else charge_views.listed)


@app.command(epilog="Example: homeflex meter boundary --since 45d --csv boundary.csv")
def meter(
    point: Annotated[str | None, typer.Argument(help="Whose minutes; the points if left out.")] = None,
    since: Since = "24h",
    until: Annotated[str | None, typer.Option(help="Until before when, as --since.")] = None,
    csv_file: CsvFile = None,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """What was metered: the minutes of a point as the aggregator is told them, of the last 45 days."""
    from gateway.console import minute_views

    _csv_or_json(csv_file, as_json)
    if point is None:
        if csv_file or until:
            raise typer.BadParameter("of which point? `homeflex meter` lists them")
        _print(_ask(config, {"ask": "meter", "point": None}, as_json), as_json, minute_views.points)
        return
    question: Question = {"ask": "meter", "point": point, "since": since, "until": until}
    found = past.pages(lambda asked: _ask(config, asked, as_json), question)
    if csv_file:
        _export(csv_file, minute_views.rows(found), as_json)
    else:
        _tell(past.as_json(point, found) if as_json else minute_views.lines(found))


@app.command("half-hours", epilog="Example: homeflex half-hours boundary --since 90d --csv settlement.csv")
def half_hours(
    point: Annotated[str, typer.Argument(help="Whose half-hours; `homeflex meter` lists the points.")],
    since: Since = "48h",
    until: Annotated[str | None, typer.Option(help="Until before when, as --since.")] = None,
    csv_file: CsvFile = None,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """What is settled on: the half-hours of a point as the aggregator is told them, of the last 90 days."""
    from gateway.console import half_hour_views

    _csv_or_json(csv_file, as_json)
    question: Question = {"ask": "half-hours", "point": point, "since": since, "until": until}
    found = past.pages(lambda asked: _ask(config, asked, as_json), question)
    if csv_file:
        _export(csv_file, half_hour_views.rows(found), as_json)
    else:
        _tell(past.as_json(point, found, "half_hours") if as_json else half_hour_views.lines(found))


def _csv_or_json(csv_file: Path | None, as_json: bool) -> None:
    if csv_file and as_json:
        raise typer.BadParameter("--csv or --json, not both")


def _export(file: Path, rows: Iterable[Sequence[object]], as_json: bool) -> None:
    try:
        spreadsheet.write(file, rows)
    except OSError as error:
        _fail(f"{file}: {error.strerror}", as_json)


def _tell(lines: Iterable[str]) -> None:
    """As they come: a long answer is not held."""
    for line in lines:
        typer.echo(line)


@app.command(epilog="Example: homeflex report 0193b3f0 --plot event.svg")
def report(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Which instruction, open or ended, or how its id begins.")
    ],
    plot_file: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Draw it into this file, as SVG.")
    ] = None,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """The evidence of an instruction, for 90 days: what was asked, what each asset did, when first, and why.

    Its minutes are kept for 45 days.
    """
    from gateway.console import picture, report_views

    if plot_file and plot_file.suffix != ".svg":
        raise typer.BadParameter(f"{plot_file}: an SVG is drawn; {plot_file.stem}.svg would be right")
    found, minutes = past.report(lambda asked: _ask(config, asked, as_json), id_)
    if plot_file:
        try:
            past.draw(plot_file, picture.picture(found, minutes))
        except OSError as error:
            _fail(f"{plot_file}: {error.strerror}", as_json)
    if as_json:
        _say_json({**found, "minutes": minutes})
    else:
        _tell(report_views.told(found, minutes))


@app.command("charge-now", epilog="Example: homeflex charge-now")
def charge_now(
    asset: Annotated[str | None, typer.Argument(help="Which car, if there are several.")] = None,
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Charge the car now, whatever is asked, until it is full or unplugged; `override ... --end` ends it."""
    answer = _ask(config, {"ask": "charge-now", "asset": asset}, as_json)
    _print(answer, as_json, lambda done: done["done"])


@app.command(epilog="Example: homeflex release --for 1h")
def release(
    asset: Annotated[str | None, typer.Argument(help="One asset; all if left out.")] = None,
    for_: Annotated[str, typer.Option("--for", help="How long we keep our hands off.")] = "1h",
    config: ConfigFile = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Give devices back to their owner at once, also when the daemon is not running."""
    question: Question = {"ask": "release", "asset": asset, "for_s": _seconds(for_)}
    from gateway.console.local_socket import NoAnswer, ask

    try:
        answer = ask(_socket(config), question)
    except NoAnswer:
        import gateway.giving_back as giving_back

        with contextlib.redirect_stdout(sys.stderr):  # what it logs is no part of the answer
            answer = giving_back.release(config, asset)
    if "error" in answer:
        _fail(answer["error"], as_json)
    _print(answer, as_json, lambda done: done["done"])


@config_app.command("check", epilog="Example: homeflex config check homeflex.toml")
def config_check(
    file: Annotated[Path, typer.Argument(help="The file to check; nothing is changed.")],
    as_json: AsJson = False,
) -> None:
    """Every problem of a configuration file at once, each with what would be right."""
    import gateway.files as files

    problems = files.check(file)
    if as_json:
        _say_json({"file": str(file), "ok": not problems, "problems": list(problems)})
    else:
        for problem in problems:
            out.print(f"{file}: {problem}")
        if not problems:
            out.print(f"{file}: good")
    raise typer.Exit(1 if problems else 0)


def _ask(config: Path, question: Question, as_json: bool) -> Any:
    from gateway.console.local_socket import NoAnswer, ask

    try:
        answer = ask(_socket(config), question)
    except NoAnswer as error:
        _fail(str(error), as_json, code=3)
    if "error" in answer:
        _fail(answer["error"], as_json)
    return answer


def _all_sessions(config: Path, question: Question, as_json: bool) -> Any:
    """Page after page, as one answer that is the last one."""
    answer = _ask(config, question, as_json)
    told, unreadable = answer["sessions"], answer["unreadable"]
    while answer["more_after"] is not None:
        answer = _ask(config, {**question, "after": answer["more_after"]}, as_json)
        told += answer["sessions"]
        unreadable += answer["unreadable"]
    return {"sessions": told, "more_after": None, "unreadable": unreadable}


def _print(answer: Any, as_json: bool, view: Any) -> None:
    if as_json:
        _say_json(answer)
    else:
        out.print(view(answer))


def _say_json(answer: object) -> None:
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def _fail(message: str, as_json: bool, code: int = 1) -> NoReturn:
    if as_json:
        _say_json({"error": message})
    else:
        typer.echo(message, err=True)
    raise typer.Exit(code)


def _socket(config: Path) -> Path:
    """Where the daemon of this configuration listens: read without the daemon's libraries, for speed."""
    try:
        named = tomllib.loads(config.read_text()).get("paths", {}).get("socket")
    except (OSError, AttributeError, ValueError) as error:
        raise typer.BadParameter(f"{config}: {error}") from error
    return config.parent / (named if isinstance(named, str) else "state/console.sock")


def _lasting(
    question: Question, asset: str | None, *, home: bool, for_: str, until: str | None, end: bool
) -> Question:
    """The question, with what it is about and for how long; a moment is read by the daemon, in local time."""
    if (asset is None) is not home:
        raise typer.BadParameter("one asset, or --home for all of them")
    if until is not None and end:
        raise typer.BadParameter("--end is now, --until is later")
    if until is not None:
        return {**question, "asset": asset, "home": home, "until": until}
    return {**question, "asset": asset, "home": home, "for_s": 0.0 if end else _seconds(for_)}


def _seconds(text: str) -> float:
    found = seconds(text)
    if not found:
        raise typer.BadParameter(f"{text!r} is no time at all; `override ASSET --end` ends an override")
    return found
