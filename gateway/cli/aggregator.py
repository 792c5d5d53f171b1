"""`homeflex aggregator`: the other end of the contract, for who integrates with it.

Exit codes: 0 done; 1 not done, refused, or something is missing; 2 wrong usage; 3 no broker; 4 no answer in
time; 5 done in part.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.span import seconds
from gateway.wire.moment import duration_of, utc_s_of

if TYPE_CHECKING:
    from gateway.aggregator.broker import Broker
    from gateway.aggregator.heard import Heard

NOT_DONE, WRONG_USAGE, NO_BROKER, NO_ANSWER, IN_PART = 1, 2, 3, 4, 5
USER, PASSWORD = "HOMEFLEX_BROKER_USER", "HOMEFLEX_BROKER_PASSWORD"

app = typer.Typer(
    no_args_is_help=True,
    help="The aggregator's side: keys, instructions, what homes say, whether their readings are whole.\n\n"
    "docs/aggregator.md begins with a simulated home. Exit codes: 0 done; 1 not done, refused, or something "
    "is missing; 2 wrong usage; 3 no broker; 4 no answer in time; 5 done in part.",
    epilog="Example: homeflex aggregator watch --broker mqtt://127.0.0.1:1883",
)
keys_app = typer.Typer(
    no_args_is_help=True,
    help="Keys that sign, and the trust stores that make homes believe them.",
    epilog="Example: homeflex aggregator keys new --kid agg-2026-11",
)
app.add_typer(keys_app, name="keys")

AsJson = Annotated[bool, typer.Option("--json", help="For a program: JSON, one object a line.")]
BrokerUrl = Annotated[
    str,
    typer.Option(
        "--broker",
        envvar="HOMEFLEX_BROKER",
        help="mqtts://host:8883; plain mqtt:// only to this machine.",
    ),
]
Ca = Annotated[
    Path | None, typer.Option(help="Authority of the broker's certificate (PEM); else the system's.")
]
Cert = Annotated[Path | None, typer.Option(help="Our own certificate (PEM), with --key.")]
CertKey = Annotated[Path | None, typer.Option("--key", help="The key of --cert (PEM).")]
Login = Annotated[
    Path | None,
    typer.Option(help=f"A file with user and password, a line each; else ${USER} and ${PASSWORD}."),
]
OneSite = Annotated[str, typer.Option("--site", help="Which home.")]
AnySite = Annotated[str, typer.Option("--site", help="Which home; + is all.")]
Lasting = Annotated[str | None, typer.Option("--for", help="Stop after so long: 90s, 30m, 2h, 1d.")]
Value = str | None
ResultT = TypeVar("ResultT")


@keys_app.command("new", epilog="Example: homeflex aggregator keys new --kid agg-2026-11 --valid 90d")
def keys_new(
    kid: Annotated[str | None, typer.Option(help="Its name in the header of what it signs.")] = None,
    root: Annotated[
        bool, typer.Option("--root", help="The root key, which signs trust stores only.")
    ] = False,
    role: Annotated[
        str, typer.Option(help="What it may sign: dispatch, config, profiles or read.")
    ] = "dispatch",
    valid: Annotated[
        str | None, typer.Option(help="For how long from now.", show_default="90d, a root key 3650d")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the files go.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make an Ed25519 key: KID.json is private (mode 0600), KID.pub.json public; never overwritten."""
    from gateway.aggregator import jwk

    if root is (kid is not None):
        raise typer.BadParameter("--root, or a --kid such as agg-2026-11")
    if role not in jwk.ROLES:
        raise typer.BadParameter(f"--role {role}: one of {', '.join(jwk.ROLES)}")
    with _told(as_json):
        lasts_s = seconds(valid or ("3650d" if root else "90d"))
        key = jwk.Key.new(kid or jwk.ROOT, jwk.ROOT if root else role, time.time(), lasts_s)
        private, public = jwk.save(key, folder)
        facts = {
            "private": str(private),
            "public": str(public),
            "x": key.x,
            "notAfter": key.public["notAfter"],
        }
        text = f"{private} (private, keep it), {public} (public); {key.role} until {facts['notAfter']}"
        _say(facts, f"{text}\n{_root_line(key.x)}" if root else text, as_json)


@keys_app.command(
    "sign",
    epilog="Example: homeflex aggregator keys sign --root root.json --site home-7f3a agg-2026-11.pub.json",
)
def keys_sign(
    files: Annotated[list[Path], typer.Argument(metavar="KEY...", help="Key files, public or private.")],
    site: OneSite,
    root: Annotated[Path | None, typer.Option(help="The root key's file; without it only --plain.")] = None,
    version: Annotated[int, typer.Option(min=0, help="Higher than the last one the home took.")] = 1,
    out: Annotated[Path, typer.Option(help="Where the signed trust store goes.")] = Path("keys.jws"),
    plain: Annotated[Path | None, typer.Option(help="Also as plain JSON, for `security.keys`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a home's trust store of these keys, whole: keys that are left out no longer count there."""
    from gateway.aggregator import jwk

    if root is None and plain is None:
        raise typer.BadParameter(
            "--root signs it for the topic `keys`, --plain writes the file at commissioning"
        )
    with _told(as_json):
        document = jwk.trust_store(site, version, [jwk.load(file) for file in files])
        facts: dict[str, Any] = {"site": site, "version": version}
        said = [f"{site}: trust store version {version} of {len(files)} keys"]
        if root is not None:
            signer = jwk.load(root)
            out.write_bytes(jwk.signed_trust_store(document, signer))
            facts |= {"signed": str(out), "root": signer.x}
            said += [f"signed: {out}; the home must pin the root in [security]:", _root_line(signer.x)]
        if plain is not None:
            plain.write_bytes(document + b"\n")
            facts |= {"plain": str(plain)}
            said += [f"plain, for `security.keys`: {plain}"]
        _say(facts, "\n".join(said), as_json)


@keys_app.command(
    "publish", epilog="Example: homeflex aggregator keys publish keys.jws --broker mqtts://broker.example"
)
def keys_publish(
    file: Annotated[Path, typer.Argument(help="A signed trust store, as `keys sign` writes it.")],
    broker: BrokerUrl,
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    wait: Annotated[str, typer.Option(help="How long to wait until it is in force.")] = "15s",
    as_json: AsJson = False,
) -> None:
    """Publish a signed trust store, retained, to the home it is made out to, and wait until it is in force.

    A home that is away takes it when it is back: exit code 4, and nothing needs to be done again.
    """
    from gateway.aggregator import jwk, talk

    with _told(as_json):
        token = file.read_bytes().strip()
        site, version = jwk.addressee(token)
        settings = _broker(broker, ca, cert, key, login)
        _run(talk.publish_keys(settings, site, version, token, wait_s=seconds(wait)))
        facts = {"site": site, "version": version, "inForce": True}
        _say(facts, f"{site}: trust store version {version} is in force", as_json)


@app.command(
    epilog="Example: homeflex aggregator send --site home-7f3a --sign agg-2026-11.json "
    "--target class:ev --cap 1.4 --for 30m --broker mqtts://broker.example"
)
def send(
    site: OneSite,
    sign: Annotated[Path, typer.Option(help="The private key's file, of role dispatch.")],
    broker: BrokerUrl,
    file: Annotated[Path | None, typer.Argument(help="A body to send as it is, unchecked, instead.")] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="site, class:ev|heat|plug or asset:ID; again for more.")
    ] = None,
    cap: Annotated[
        Value, typer.Option(metavar="KW", help="Draw at most; 1.4 or, in turn, 1.4,0.5,3.")
    ] = None,
    setpoint: Annotated[Value, typer.Option(metavar="KW", help="Draw this.")] = None,
    floor: Annotated[Value, typer.Option(metavar="KW", help="Draw at least.")] = None,
    soc: Annotated[Value, typer.Option(metavar="0..1", help="Be charged so far by the end.")] = None,
    simple: Annotated[Value, typer.Option(metavar="0..3", help="A level that the home maps.")] = None,
    start: Annotated[str, typer.Option(help="now, +10m, or 2026-11-23T17:00:00Z.")] = "now",
    for_: Annotated[str, typer.Option("--for", help="How long each value holds.")] = "30m",
    service: Annotated[
        str, typer.Option(help="bm, tcm, dfs, sustain, secure, or a name of your own.")
    ] = "trial",
    service_class: Annotated[str, typer.Option("--class", help="response or routine.")] = "response",
    ref: Annotated[str | None, typer.Option(help="Your own reference, told in the summary.")] = None,
    priority: Annotated[int, typer.Option(help="The lower wins among setpoints and floors.")] = 10,
    start_delay: Annotated[str | None, typer.Option(help="Start at random within so long; 0s: none.")] = None,
    end_delay: Annotated[str | None, typer.Option(help="Let go at random within so long; 0s: none.")] = None,
    manual: Annotated[bool, typer.Option("--manual", help="For the household's own hands.")] = False,
    expires: Annotated[str, typer.Option(help="How long it may be under way.")] = "10m",
    id_: Annotated[str | None, typer.Option("--id", help="Its id, as to revise one; else a new one.")] = None,
    cancel: Annotated[str | None, typer.Option(metavar="ID", help="End this instruction.")] = None,
    stop_all: Annotated[bool, typer.Option("--stop-all", help="End all instructions.")] = False,
    revision: Annotated[int | None, typer.Option(help="Higher than the last; 0, or 1 to cancel.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Tell how it goes, to its end.")] = False,
    wait: Annotated[str, typer.Option(help="How long to wait for the reception.")] = "10s",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """Sign an instruction, publish it (QoS 1, never retained), and tell what the home answers.

    Exit code 0: received, and something of it accepted; with --follow as of `watch --id`.
    """
    from gateway.aggregator import instruction, jwk, talk

    kinds = dict(zip(instruction.UNITS, (cap, setpoint, floor, soc, simple), strict=True))
    asked = {kind: text for kind, text in kinds.items() if text is not None}
    if [file is not None, bool(asked), cancel is not None, stop_all].count(True) != 1 or len(asked) > 1:
        raise typer.BadParameter(
            "one of --cap, --setpoint, --floor, --soc, --simple, --cancel, --stop-all or a FILE"
        )
    if follow and (stop_all or file is not None):
        raise typer.BadParameter("--follow is for one instruction composed here; `watch` follows the others")
    with _told(as_json):
        now_utc_s = time.time()
        head = instruction.Head(
            site,
            now_utc_s,
            cancel or id_ or "",
            revision if revision is not None else int(cancel is not None),
            seconds(expires),
        )
        if file is not None:
            payload = file.read_bytes()
        elif asked:
            ((kind, text),) = asked.items()
            payload = instruction.written(
                instruction.set_body(
                    head,
                    kind,
                    _numbers(text),
                    targets=target or [],
                    start_utc_s=_moment(start, now_utc_s),
                    each_s=int(seconds(for_)),
                    service=service,
                    service_class=service_class,
                    priority=priority,
                    serviceRef=ref,
                    vector="manual" if manual else None,
                    startDelay=_duration(start_delay),
                    endDelay=_duration(end_delay),
                )
            )
        else:
            op = "stopAll" if stop_all else "cancel"
            payload = instruction.written(instruction.stop_body(head, op, _duration(end_delay)))
        token = jwk.load(sign).signed(payload, instruction.SCHEMA)
        ending = _run(
            talk.send(
                _broker(broker, ca, cert, key, login),
                site,
                payload,
                token,
                _teller(as_json),
                wait_s=seconds(wait),
                follow=follow,
            )
        )
    raise typer.Exit(ending)


@app.command(epilog="Example: homeflex aggregator watch --site + --broker mqtts://broker.example")
def watch(
    broker: BrokerUrl,
    site: AnySite = "+",
    id_: Annotated[str | None, typer.Option("--id", help="Only this instruction, to its end.")] = None,
    readings: Annotated[bool, typer.Option("--readings", help="Also the minute readings.")] = False,
    for_: Lasting = None,
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """Tell what homes say: answers, summaries, events, presence, state and availability where they change.

    --json writes everything, readings too, as `verify` reads it. With --id the exit code tells how it ended:
    0 every asset SUCCEEDED, 5 some did, 1 none (rejected, aborted, revoked), 4 not ended in --for.
    """
    from gateway.aggregator import talk

    with _told(as_json):
        tell = _teller(as_json, readings=readings)
        lasts_s = seconds(for_) if for_ else None
        ending = _run(talk.watch(_broker(broker, ca, cert, key, login), site, tell, lasts_s=lasts_s, id=id_))
    raise typer.Exit(ending or 0)


@app.command(epilog="Example: homeflex aggregator verify kept/")
def verify(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="What `watch --json` wrote (- is standard input), or `ack` keeps."
        ),
    ] = None,
    broker: Annotated[
        str | None, typer.Option("--broker", envvar="HOMEFLEX_BROKER", help="Listen there instead.")
    ] = None,
    site: AnySite = "+",
    for_: Annotated[str, typer.Option("--for", help="How long to listen.")] = "10m",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """Whether readings are whole: numbers without gaps, minutes end to end, energies equal to the registers.

    A verdict for each point; exit code 1 if anything is missing or does not fit, or nothing was heard.
    Minutes that the home itself says are MISSING are told, with its reasons, and are no fault.
    """
    from gateway.aggregator import completeness, talk

    ledger = completeness.Ledger()
    if source is None and broker is None:
        raise typer.BadParameter("a FILE, or a --broker to listen to")
    with _told(as_json):
        if source is not None:
            for heard in _lines_of(source):
                if site in ("+", heard.site):
                    ledger.take(heard)
        elif broker is not None:
            settings = _broker(broker, ca, cert, key, login)
            _run(talk.watch(settings, site, ledger.take, lasts_s=seconds(for_)))
        verdicts = ledger.verdicts()
        for verdict in verdicts:
            _say({**asdict(verdict), "whole": verdict.is_whole}, verdict.words, as_json)
        if not verdicts:
            _say({"error": "nothing was heard"}, "nothing was heard that has a number", as_json)
    raise typer.Exit(0 if completeness.is_whole(verdicts) else NOT_DONE)


@app.command(epilog="Example: homeflex aggregator ack kept/ --broker mqtts://broker.example")
def ack(
    folder: Annotated[
        Path, typer.Argument(help="What homes say is kept here: a file a day, and watermarks.")
    ],
    broker: BrokerUrl,
    site: AnySite = "+",
    every: Annotated[str, typer.Option(help="How often to acknowledge.")] = "5s",
    for_: Lasting = None,
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """Keep everything homes say, and acknowledge how far it is on our disk without a gap.

    A restart goes on where the last run ended. What an ack lacks after two minutes a home sends again; a gap
    that did not fill in an hour is told as lost and passed over.
    """
    from gateway.aggregator import talk

    def note(line: str) -> None:
        _say({"note": line}, line, as_json)

    with _told(as_json):
        book = talk.Book(folder)
        settings, lasts_s = _broker(broker, ca, cert, key, login), seconds(for_) if for_ else None
        _run(talk.take_in(settings, site, book, note, every_s=seconds(every), lasts_s=lasts_s))


@app.command(epilog="Example: homeflex aggregator convert event.json --site home-7f3a --service tcm")
def convert(
    file: Annotated[Path, typer.Argument(help="An OpenADR 3.1 event object, as JSON.")],
    site: OneSite,
    service: Annotated[
        str, typer.Option(help="bm, tcm, dfs, sustain, secure, or a name of your own.")
    ] = "trial",
    service_class: Annotated[str, typer.Option("--class", help="response or routine.")] = "response",
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TARGET", help="What a target of the event is here, as group-1=class:ev."),
    ] = None,
    revision: Annotated[int, typer.Option(help="Higher than the last of this event.")] = 0,
    start_delay: Annotated[str | None, typer.Option(help="Start at random within so long; 0s: none.")] = None,
    end_delay: Annotated[str | None, typer.Option(help="Let go at random within so long; 0s: none.")] = None,
    expires: Annotated[str, typer.Option(help="How long it may be under way.")] = "10m",
    as_json: AsJson = False,
) -> None:
    """Turn an OpenADR 3.1 event into instructions, a body a line, for `send FILE`; nothing is sent.

    What is refused is told with why, and is in none of them: exit code 1 if nothing is left, 5 if something
    is. This is no OpenADR client or server.
    """
    from gateway.aggregator import openadr

    with _told(as_json):
        meant = dict(_pair(one) for one in target or [])
        receiver = openadr.Receiver(
            site,
            time.time(),
            service,
            service_class,
            meant,
            revision,
            seconds(expires),
            _duration(start_delay),
            _duration(end_delay),
        )
        found = openadr.convert(json.loads(file.read_text(encoding="utf-8")), receiver)
    refused = [asdict(one) for one in found.refused]
    if as_json:
        typer.echo(json.dumps({"instructions": found.bodies, "refused": refused}, ensure_ascii=False))
    else:
        for body in found.bodies:
            typer.echo(json.dumps(body, ensure_ascii=False))
        for one in found.refused:
            typer.echo(f"refused  {one.field}: {one.why}", err=True)
    raise typer.Exit((IN_PART if found.bodies else NOT_DONE) if refused else 0)


# --- what the commands share ------------------------------------------------------------------------------


@contextlib.contextmanager
def _told(as_json: bool) -> Iterator[None]:
    """Errors in words, each with its exit code. Ctrl-C is how one stops listening."""
    from gateway.aggregator.broker import NoBroker
    from gateway.aggregator.jwk import BadKey
    from gateway.aggregator.talk import NoAnswer

    codes = {NoBroker: NO_BROKER, NoAnswer: NO_ANSWER, BadKey: WRONG_USAGE, ValueError: WRONG_USAGE}
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except (NoBroker, NoAnswer, BadKey, ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        if as_json:
            typer.echo(json.dumps({"error": str(error)}))
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(
            next((c for kind, c in codes.items() if isinstance(error, kind)), NOT_DONE)
        ) from None


def _run(conversation: Coroutine[Any, Any, ResultT]) -> ResultT:
    return asyncio.run(conversation)


def _broker(url: str, ca: Path | None, cert: Path | None, key: Path | None, login: Path | None) -> Broker:
    from gateway.aggregator.broker import Broker

    user: tuple[str | None, str | None] = (os.environ.get(USER), os.environ.get(PASSWORD))
    if login is not None:
        lines = login.read_text(encoding="utf-8").splitlines()
        if len(lines) != 2:
            raise ValueError(f"{login} must have two lines: the user, the password")
        user = lines[0], lines[1]
    return Broker.at(url, ca=ca, certificate=cert, key=key, login=user)


def _teller(as_json: bool, *, readings: bool = False) -> Callable[[Heard], None]:
    from gateway.aggregator.heard import line_of
    from gateway.aggregator.telling import Changes

    changes = Changes()

    def tell(heard: Heard) -> None:
        if as_json:
            typer.echo(line_of(heard))
        else:
            for line in changes.lines(heard, readings=readings):
                typer.echo(line)
        sys.stdout.flush()  # also into a pipe, line by line

    return tell


def _lines_of(source: Path) -> Iterable[Heard]:
    from gateway.aggregator.heard import of_lines

    if str(source) == "-":
        yield from of_lines(sys.stdin)
        return
    files = sorted(source.glob("*.jsonl")) if source.is_dir() else [source]
    for file in files:
        with file.open(encoding="utf-8") as opened:
            yield from of_lines(opened)


def _say(facts: object, text: str, as_json: bool) -> None:
    typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else text)


def _root_line(x: str) -> str:
    return f'root = "{x}"'


def _numbers(text: str) -> list[float]:
    try:
        return [float(one) for one in text.split(",")]
    except ValueError:
        raise ValueError(f"{text!r} is no value; 1.4 would be, or 1.4,0.5 for one after the other") from None


def _moment(text: str, now_utc_s: float) -> float:
    if text == "now":
        return now_utc_s
    return now_utc_s + seconds(text[1:]) if text.startswith("+") else utc_s_of(text)


def _pair(text: str) -> tuple[str, str]:
    name, sign, meant = text.rpartition("=")
    if not sign:
        raise ValueError(f"--target {text}: group-1=class:ev would be right")
    return name, meant


def _duration(text: str | None) -> str | None:
    return None if text is None else duration_of(int(seconds(text)))
