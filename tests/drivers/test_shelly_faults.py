"""A Shelly that asks for a password, or answers wrongly or not at all: one of four errors, no harm done."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from drivers.base import (
    DriverError,
    Refused,
    Unintelligible,
    Unreachable,
)
from tests.drivers.running import running
from tests.drivers.shelly_bench import OFF, ON, Bench
from tests.fakes.shelly import Shelly


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with bench.plug:
        yield bench


# --- the password ------------------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "plug.secret"
    file.write_text("correct horse\n")
    return file


async def _hold(bench: Bench, secret: Path) -> None:
    bench.plug.password = "correct horse"
    async with running(bench.driver(password_file=secret).run(bench.port)):
        assert await bench.answer(0) == ""
        assert await bench.answer(None) == ""
    assert bench.plug.commands() == [OFF, ON]


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
async def test_a_password_is_proven_and_one_nonce_serves_many_requests(
    bench: Bench, secret: Path, algorithm: str
) -> None:
    bench.plug.algorithm = algorithm
    await _hold(bench, secret)
    counts = [re.findall("nc=(.{8})", line)[0] for line in bench.plug.signed]
    assert counts == [f"{count:08x}" for count in range(1, len(counts) + 1)]
    assert len(counts) >= 6


@pytest.mark.parametrize("says_stale", [True, False])
async def test_a_nonce_that_is_good_for_one_request_is_renewed_for_each(
    bench: Bench, secret: Path, says_stale: bool
) -> None:
    bench.plug.nonce_uses, bench.plug.says_stale = 1, says_stale
    await _hold(bench, secret)
    assert {re.findall("nc=(.{8})", line)[0] for line in bench.plug.signed} == {"00000001", "00000002"}


async def test_a_challenge_inside_a_frame_is_answered_inside_the_frame(bench: Bench, secret: Path) -> None:
    bench.plug.asks_in_frame = True
    await _hold(bench, secret)
    assert bench.plug.signed == []


async def test_a_wrong_password_is_tried_once_and_refused_in_words(bench: Bench, secret: Path) -> None:
    bench.plug.password, bench.plug.says_stale = "another one", False
    error = await bench.failure(password_file=secret)
    assert isinstance(error, Refused)
    assert str(error) == "the plug does not take the password in password_file"
    assert len(bench.plug.signed) == 1
    assert bench.port.publications == 0


async def test_a_device_that_calls_every_nonce_stale_is_not_asked_for_ever(
    bench: Bench, secret: Path
) -> None:
    bench.plug.password = "correct horse"
    bench.plug.nonce_uses = 0
    error = await bench.failure(password_file=secret)
    assert isinstance(error, Refused)
    assert bench.plug.requests < 5


async def test_a_password_that_is_not_configured_is_asked_for_in_words(bench: Bench) -> None:
    bench.plug.password = "correct horse"
    error = await bench.failure()
    assert isinstance(error, Refused)
    assert "name its file in password_file" in str(error)


async def test_a_password_file_that_cannot_be_read_is_told_before_anything_is_asked(
    bench: Bench, tmp_path: Path
) -> None:
    error = await bench.failure(password_file=tmp_path / "nowhere")
    assert isinstance(error, Refused)
    assert "nowhere" in str(error)
    assert bench.plug.requests == 0


# --- faults ------------------------------------------------------------------------------------------

SILENCE_S = 1.0  # after which a plug does not answer


def _say_nothing(plug: Shelly) -> None:
    plug.silent = True


def _be_busy(plug: Shelly) -> None:
    plug.http_status = 503


def _have_no_calls(plug: Shelly) -> None:
    plug.http_status = 404


def _run_out(plug: Shelly) -> None:
    plug.errors = dict.fromkeys(("Shelly.GetStatus", "Switch.GetConfig"), (-108, "Out of memory"))


def _know_nothing(plug: Shelly) -> None:
    plug.errors = dict.fromkeys(("Shelly.GetStatus", "Switch.GetConfig"), (404, "No handler\x1b[2J"))


def _answer_something_else(plug: Shelly) -> None:
    plug.mangle = lambda answer: answer.replace(b'{"id": ', b'{"id":9')


def _answer_without_a_result(plug: Shelly) -> None:
    plug.mangle = lambda answer: answer.replace(b'"result"', b'"Result"')


def _answer_a_list(plug: Shelly) -> None:
    plug.mangle = lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"


def _serve_a_page(plug: Shelly) -> None:
    plug.mangle = lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>"


FAULTS: list[tuple[Callable[[Shelly], None], type[DriverError]]] = [
    (_say_nothing, Unreachable),
    (_be_busy, Unreachable),
    (_have_no_calls, Refused),
    (_run_out, Unreachable),
    (_know_nothing, Refused),
    (_answer_something_else, Unintelligible),
    (_answer_without_a_result, Unintelligible),
    (_answer_a_list, Unintelligible),
    (_serve_a_page, Unintelligible),
]


@pytest.mark.parametrize(("break_it", "error"), FAULTS, ids=lambda case: getattr(case, "__name__", ""))
async def test_each_fault_is_one_of_the_four_errors_and_nothing_is_switched(
    bench: Bench, break_it: Callable[[Shelly], None], error: type[DriverError]
) -> None:
    break_it(bench.plug)
    bench.port.want(0)
    found = await bench.failure(timeout_s=SILENCE_S)
    assert type(found) is error
    assert str(found).isprintable()
    assert bench.plug.commands() == []


@pytest.mark.parametrize(("break_it", "error"), FAULTS, ids=lambda case: getattr(case, "__name__", ""))
async def test_a_fault_under_a_hold_ends_the_session_and_the_plug_keeps_its_timer(
    bench: Bench, break_it: Callable[[Shelly], None], error: type[DriverError]
) -> None:
    async with running(bench.driver(timeout_s=SILENCE_S).run(bench.port)) as task:
        await bench.answer(0)
        break_it(bench.plug)
        with pytest.raises(error):
            await task
    assert not bench.switch.on
    bench.now_s = 900
    assert bench.switch.on


async def test_a_connection_dropped_between_polls_goes_unnoticed(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)) as task:
        await bench.polled()
        bench.plug.close_idle()
        await bench.polled()
        assert not task.done()
    assert bench.plug.connections >= 2
