"""The Modbus driver on a bad day: slow, silent, wrong, cut; what it writes, keeps alive and restores."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers import profile as profiles
from drivers.base import Driver, DriverError, Links, Proof, Refused, Unintelligible, Unreachable, WrongDevice
from drivers.modbus.driver import KIND
from drivers.modbus.link import Connection
from drivers.profile import Table
from tests.drivers.fuzz_modbus import fuzz_modbus
from tests.drivers.running import running
from tests.fakes.modbus import BUSY, ILLEGAL_ADDRESS, ModbusServer, Unit, Xtherma
from tests.fakes.port import FakePort

DEADLINE_S = 5.0  # of a busy machine: who waits for it asks for less
SILENCE_S = 1.0  # after which a device does not answer


@pytest.fixture
async def server() -> AsyncIterator[ModbusServer]:
    async with ModbusServer({1: Xtherma()}) as server:
        yield server


def driver(server: ModbusServer, links: Links | None = None, **fields: Any) -> Driver:
    section = {"host": "127.0.0.1", "port": server.port, "profile": "xtherma", "timeout_s": DEADLINE_S}
    return KIND.open(KIND.settings.model_validate(section | fields), links or Links())


async def failure(server: ModbusServer, port: FakePort, **fields: Any) -> BaseException | None:
    """How the driver's run ends."""
    async with running(driver(server, **fields).run(port)) as task:
        await asyncio.wait([task], timeout=15)
        return task.exception() if task.done() else None


# --- faults -----------------------------------------------------------------------------------------


def _say_nothing(server: ModbusServer) -> None:
    server.silent = True


def _answer_for_another_unit(server: ModbusServer) -> None:
    server.answers_as_unit = 9


def _be_too_slow(server: ModbusServer) -> None:
    server.delay_s = 3 * SILENCE_S


def _be_busy(server: ModbusServer) -> None:
    server.exception = BUSY


def _cut_in_mid_frame(server: ModbusServer) -> None:
    server.cut_after = 11


def _answer_too_few_registers(server: ModbusServer) -> None:
    server.mangle = lambda frame: frame[:4] + b"\0\5" + frame[6:8] + b"\2" + frame[9:11]


def _answer_another_function(server: ModbusServer) -> None:
    server.mangle = lambda frame: frame[:7] + b"\4" + frame[8:]


def _speak_another_protocol(server: ModbusServer) -> None:
    server.mangle = lambda frame: b"HTTP/1.1 400 Bad Request\r\n\r\n"


def _fail_inside(server: ModbusServer) -> None:
    server.exception = 4


FAULTS: list[tuple[Callable[[ModbusServer], None], type[DriverError]]] = [
    (_say_nothing, Unreachable),
    (_answer_for_another_unit, Unreachable),
    (_be_too_slow, Unreachable),
    (_be_busy, Unreachable),
    (_cut_in_mid_frame, Unreachable),
    (_answer_too_few_registers, Unintelligible),
    (_answer_another_function, Unintelligible),
    (_speak_another_protocol, Unintelligible),
    (_fail_inside, Refused),
]


@pytest.mark.parametrize(("break_it", "error"), FAULTS, ids=lambda case: getattr(case, "__name__", ""))
async def test_each_fault_is_one_of_the_four_errors_and_nothing_is_written(
    server: ModbusServer, break_it: Callable[[ModbusServer], None], error: type[DriverError]
) -> None:
    break_it(server)
    port = FakePort()
    port.want(0)
    assert type(await failure(server, port, timeout_s=SILENCE_S)) is error
    assert server.units[1].writes == []


@pytest.mark.parametrize(("break_it", "error"), FAULTS, ids=lambda case: getattr(case, "__name__", ""))
async def test_a_fault_in_the_middle_ends_the_session_and_the_next_one_goes_on(
    server: ModbusServer, break_it: Callable[[ModbusServer], None], error: type[DriverError]
) -> None:
    port = FakePort()
    async with running(driver(server, timeout_s=SILENCE_S).run(port)) as task:
        first = port.want(0)
        await port.until(lambda: port.answered(first))
        break_it(server)
        port.want(0)
        await asyncio.wait([task], timeout=15)
        failed = task.exception() if task.done() else None
        assert type(failed) is error or (error is Refused and port.refusals)  # a want, or the poll beside it
    server.silent, server.answers_as_unit, server.delay_s = False, None, 0
    server.exception, server.mangle, server.cut_after = None, None, None
    server.units[1].writes.clear()
    async with running(driver(server).run(port)):
        await port.until(lambda: port.done[-1].want == port.latest())
    assert ("holding", 71, 0) in server.units[1].writes


async def test_a_refused_connection_is_unreachable() -> None:
    async with ModbusServer({1: Xtherma()}) as server:
        pass
    assert isinstance(await failure(server, FakePort()), Unreachable)


async def test_a_connection_cut_while_idle_is_noticed_by_the_next_want_without_a_deadline(
    server: ModbusServer,
) -> None:
    port = FakePort()
    async with running(driver(server, timeout_s=30).run(port)) as task:
        await port.until(lambda: "power_w" in port.points)
        server.drop()
        await asyncio.sleep(0.05)
        port.want(0)
        await asyncio.wait([task], timeout=15)
    assert isinstance(task.exception(), Unreachable)


async def test_a_connection_cut_under_a_request_does_not_cost_the_deadline(server: ModbusServer) -> None:
    server.silent = True
    async with running(driver(server, timeout_s=30).run(FakePort())) as task:
        await server.last_request.wait()
        server.drop()
        await asyncio.wait([task], timeout=15)
    assert isinstance(task.exception(), Unreachable)


async def test_garbage_is_not_logged_behind_our_back(
    server: ModbusServer, caplog: pytest.LogCaptureFixture
) -> None:
    _speak_another_protocol(server)
    with caplog.at_level(logging.WARNING):
        await failure(server, FakePort())
    assert caplog.records == []


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_no_answer_whatever_gets_past_the_four_errors(data: bytes) -> None:
    fuzz_modbus(data)


async def test_a_request_told_to_stop_at_any_moment_stops(server: ModbusServer) -> None:
    """Python 3.11's `wait_for`, inside the library, loses a cancellation that arrives with the answer."""
    connection = Connection("127.0.0.1", server.port, DEADLINE_S)
    await connection.open()
    finished = False
    for steps in range(1, 200):
        task = asyncio.ensure_future(connection.read(1, Table.HOLDING, 100, 1, DEADLINE_S))
        for _ in range(steps):
            await asyncio.sleep(0)
        if finished := task.done():
            break
        task.cancel()
        await asyncio.wait([task], timeout=15)
        assert task.cancelled(), f"went on when cancelled after {steps} steps"
    connection.close()
    assert finished


# --- what is not there ------------------------------------------------------------------------------


async def test_an_optional_register_that_is_not_there_costs_only_its_own_point(server: ModbusServer) -> None:
    del server.units[1].holding[124]
    port = FakePort()
    async with running(driver(server).run(port)):
        await port.until(lambda: {"power_w", "surplus_w"} <= port.points.keys())
    assert "room_c" not in port.points
    assert {"dhw_c", "return_c", "flow_c"} <= port.points.keys()


async def test_a_missing_register_is_asked_for_once_a_session(server: ModbusServer) -> None:
    del server.units[1].holding[124]
    port = FakePort()
    async with running(driver(server, poll_s=1).run(port)):
        await port.until(lambda: port.publications > 25, within_s=4)
    asked = [address for _, _, address, count in server.requests if address <= 124 < address + count]
    assert asked == [120, 124]


async def test_a_register_that_every_such_device_has_must_be_there(server: ModbusServer) -> None:
    del server.units[1].holding[126]
    assert isinstance(await failure(server, FakePort()), Refused)


async def test_an_exception_storm_is_not_a_storm_of_requests(server: ModbusServer) -> None:
    server.exception = ILLEGAL_ADDRESS
    assert isinstance(await failure(server, FakePort()), WrongDevice)
    assert len(server.requests) == 1


async def test_another_device_is_recognised_before_anything_is_written(server: ModbusServer) -> None:
    server.units[1].holding[100] = 7
    port = FakePort()
    port.want(0)
    assert isinstance(await failure(server, port), WrongDevice)
    assert server.units[1].writes == []
    assert port.points == {}


# --- sharing ----------------------------------------------------------------------------------------


async def test_two_units_behind_one_endpoint_share_one_socket() -> None:
    async with ModbusServer({1: Xtherma(), 2: Xtherma()}) as server:
        links, first, second = Links(), FakePort(), FakePort()
        async with (
            running(driver(server, links, unit=1).run(first)),
            running(driver(server, links, unit=2).run(second)) as other,
        ):
            one, two = first.want(0), second.want(0)
            await first.until(lambda: first.answered(one))
            await second.until(lambda: second.answered(two))
            assert server.connections == 1
            other.cancel()
            await asyncio.wait([other])
            again = first.want(None)
            await first.until(lambda: first.answered(again))
        assert server.connections == 1
        assert {unit for unit, *_ in server.requests} == {1, 2}


async def test_a_unit_that_starts_again_gets_a_new_connection_while_the_other_still_has_the_dead_one() -> (
    None
):
    async with ModbusServer({1: Xtherma(), 2: Xtherma()}) as server:
        links, first, second = Links(), FakePort(), FakePort()
        async with running(driver(server, links, unit=2).run(second)) as idle:
            async with running(driver(server, links, unit=1).run(first)) as cut:
                await first.until(lambda: "surplus_w" in first.points)
                await second.until(lambda: "dhw_today_ws" in second.points)  # the last block of a poll
                server.drop()
                first.want(0)
                await asyncio.wait([cut], timeout=15)
                assert isinstance(cut.exception(), Unreachable)
            async with running(driver(server, links, unit=1).run(first)):
                await first.until(lambda: bool(first.done))
                second.want(0)
                await asyncio.wait([idle], timeout=15)
                assert isinstance(idle.exception(), Unreachable)  # its session died with its connection
        assert server.connections == 2


async def test_a_want_waits_for_one_request_of_a_slow_poll_and_no_more(server: ModbusServer) -> None:
    port = FakePort()
    async with running(driver(server, timeout_s=2).run(port)):
        await port.until(lambda: port.publications == 1)
        server.delay_s = 0.05
        want = port.want(0)
        before = len(server.requests)
        await port.until(lambda: port.answered(want))
    functions = [function for _, function, _, _ in server.requests[before:]]
    assert 6 in functions[:2]


# --- writes -----------------------------------------------------------------------------------------

TWO_LEVELS = """
id = "test-pump"
kind = "heat_pump"
driver = "modbus"
vendor = "Test"
models = ["T"]
firmware = "any"
detect = [{ point = "outdoor_c", min = -50, max = 60 }]
[sources]
t = "test"
[access]
max_block = 10
write = "multiple"
[points]
outdoor_c = { table = "input", address = 0, type = "int16", scale = 0.1, source = "t", confidence = "seen" }
cap_w = { table = "holding", address = 10, type = "uint32", words = "lo-hi", source = "t", confidence = "seen", write = { min = 500, max = 9000, wear = "eeprom", writes_per_day = 6 } }
mode = { table = "holding", address = 12, type = "uint16", source = "t", confidence = "seen", write = { min = 0, max = 3, wear = "volatile" } }
on = { table = "coil", address = 3, type = "bool", source = "t", confidence = "seen", write = { min = 0, max = 1, wear = "volatile" } }
service = { table = "holding", address = 13, type = "uint16", source = "t", confidence = "disputed" }
[actions.limit]
writes = [{ point = "cap_w", from = "at_most_w" }, { point = "mode", value = 2 }, { point = "on", value = 1 }]
read_back = ["cap_w", "mode", "on"]
range_w = { min = 500, max = 9000, step = 250 }
fallback = { by = "device", within_s = 7200, source = "t" }
source = "t"
confidence = "seen"
[actions.boost]
writes = [{ point = "mode", value = 1 }, { point = "on", value = 0 }]
read_back = ["mode", "on"]
fallback = { by = "device", within_s = 7200, source = "t" }
source = "t"
confidence = "seen"
[actions.release]
writes = [{ point = "mode", from = "snapshot" }, { point = "on", value = 0 }]
read_back = ["mode", "on"]
source = "t"
confidence = "seen"
"""  # noqa: E501 - one point, one line, as in the files


@pytest.fixture
def test_profile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A profile with every kind of write, found where profiles are found; a test may change it."""
    text = TWO_LEVELS
    for old, new in getattr(request, "param", ()):
        assert old in text
        text = text.replace(old, new)
    folder = tmp_path / "heat_pump"
    folder.mkdir()
    (folder / "test-pump.toml").write_text(text)
    monkeypatch.setattr(profiles, "_INSTALLED", tmp_path)
    profiles.load.cache_clear()


@pytest.fixture
def test_pump(test_profile: None) -> Unit:
    """The device of that profile."""
    return Unit(input={0: 45}, holding={10: 0, 11: 0, 12: 3, 13: 0}, coil={3: 0})


@asynccontextmanager
async def at_work(pump: Unit) -> AsyncIterator[FakePort]:
    """The test pump, and a driver that holds it."""
    port = FakePort()
    async with ModbusServer({1: pump}) as server, running(driver(server, profile="test-pump").run(port)):
        yield port


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.none(), st.integers(-(10**9), 10**9), st.integers(400, 9_300)), max_size=6))
def test_nothing_outside_the_allow_list_is_written_whatever_is_wanted(
    test_pump: Unit, wants: list[int | None]
) -> None:
    profiles.load.cache_clear()

    async def ask_for_all() -> None:
        port = FakePort()
        async with (
            ModbusServer({1: test_pump}) as server,
            running(driver(server, profile="test-pump").run(port)),
        ):
            for at_most_w in wants:
                want = port.want(at_most_w)
                await port.until(lambda want=want: port.answered(want))  # type: ignore[misc]
                if at_most_w is not None and port.done and port.done[-1].want == want:
                    assert test_pump.holding[10] + (test_pump.holding[11] << 16) <= at_most_w

    test_pump.writes.clear()
    asyncio.run(ask_for_all())
    for table, address, value in test_pump.writes:
        assert (table, address) in {("holding", 10), ("holding", 11), ("holding", 12), ("coil", 3)}
        assert value <= {10: 9_000, 11: 0, 12: 3, 3: 1}[address]


async def test_what_was_there_before_the_hold_is_restored_after_a_crash(test_pump: Unit) -> None:
    port = FakePort()
    async with ModbusServer({1: test_pump}) as server:
        async with running(driver(server, profile="test-pump").run(port)):
            held = port.want(1_000)
            await port.until(lambda: port.answered(held))
        assert test_pump.holding[12] == 2
        port.facts.lose_unsynced()
        async with running(driver(server, profile="test-pump").run(port)):
            lower = port.want(500)  # a second hold must not mistake our own value for the owner's
            await port.until(lambda: port.answered(lower))
            given_back = port.want(None)
            await port.until(lambda: port.answered(given_back))
    assert test_pump.holding[12] == 3
    assert test_pump.coil[3] == 0


async def test_what_must_be_restored_is_on_the_disk_before_the_first_write(test_pump: Unit) -> None:
    on_disk_at_write: list[bool] = []
    port = FakePort()
    keep = test_pump.put

    def watched(table: str, address: int, value: int) -> None:
        on_disk_at_write.append("hold" in port.facts.durable)
        keep(table, address, value)

    test_pump.put = watched  # type: ignore[method-assign]
    async with (
        ModbusServer({1: test_pump}) as server,
        running(driver(server, profile="test-pump").run(port)),
    ):
        want = port.want(1_000)
        await port.until(lambda: port.answered(want))
    assert on_disk_at_write
    assert all(on_disk_at_write)


async def test_a_register_that_wears_is_not_written_again_with_the_same_value(test_pump: Unit) -> None:
    port = FakePort()
    async with ModbusServer({1: test_pump}) as server:
        for _ in range(3):  # each a new connection
            async with running(driver(server, profile="test-pump").run(port)):
                want = port.want(1_000)
                await port.until(lambda want=want: port.answered(want))  # type: ignore[misc]
    assert [value for _, address, value in test_pump.writes if address == 10] == [1_000]


async def test_a_renewal_writes_only_what_keeps_the_lease(test_pump: Unit) -> None:
    async with at_work(test_pump) as port:
        held = port.want(1_000)
        await port.until(lambda: port.answered(held))
        test_pump.writes.clear()
        renewed = port.want(1_000)
        await port.until(lambda: port.answered(renewed))
    assert port.done[-1].want == renewed
    assert test_pump.writes == []


async def test_a_spent_wear_budget_refuses_to_hold_but_never_to_give_back(test_pump: Unit) -> None:
    async with at_work(test_pump) as port:
        for at_most_w in (1_000, 1_250, 1_500, 1_750, 2_000, 2_250):
            want = port.want(at_most_w)
            await port.until(lambda want=want: port.answered(want))  # type: ignore[misc]
        assert [refused.at_most_w for refused, _ in port.refusals] == [2_250]
        assert "cap_w was written 5 times today" in port.refusals[0][1]
        given_back = port.want(None)
        await port.until(lambda: port.answered(given_back))
        assert port.done[-1].want == given_back
        port.utc_s = (port.utc_s or 0) + 86_400
        tomorrow = port.want(2_250)
        await port.until(lambda: port.answered(tomorrow))
    assert port.done[-1].want == tomorrow


async def test_how_many_changes_are_left_today_is_told_before_one_is_refused(test_pump: Unit) -> None:
    async with at_work(test_pump) as port:
        await port.until(lambda: "changes_left" in port.points)
        assert port.points["changes_left"].value == 5
        want = port.want(1_000)
        await port.until(lambda: port.answered(want))
        assert port.points["changes_left"].value == 4


async def test_while_the_clock_is_not_trusted_no_new_days_budget_begins(test_pump: Unit) -> None:
    port = FakePort(utc_s=None)
    async with (
        ModbusServer({1: test_pump}) as server,
        running(driver(server, profile="test-pump").run(port)),
    ):
        for at_most_w in (1_000, 1_250, 1_500, 1_750, 2_000, 2_250):
            want = port.want(at_most_w)
            await port.until(lambda want=want: port.answered(want))  # type: ignore[misc]
    assert len(port.refusals) == 1


# --- a boost ----------------------------------------------------------------------------------------


async def told(port: FakePort, *wants: int | str | None) -> None:
    """Ask for one after the other, "more" among them, and wait for each answer."""
    for said in wants:
        more = said == "more"
        want = port.want(None if isinstance(said, str) else said, raised=more)
        await port.until(lambda want=want: port.answered(want))  # type: ignore[misc]


async def test_a_boost_is_written_read_back_and_given_back_as_its_owner_had_it(test_pump: Unit) -> None:
    async with at_work(test_pump) as port:
        await told(port, "more")
        assert (test_pump.holding[12], test_pump.coil[3]) == (1, 0)
        await told(port, None)
    assert (test_pump.holding[12], test_pump.coil[3]) == (3, 0)
    assert [(applied.want.raised, applied.proof) for applied in port.done] == [
        (True, Proof.READ_BACK),
        (False, Proof.READ_BACK),
    ]


async def test_a_hold_takes_the_place_of_a_boost_and_the_other_way(test_pump: Unit) -> None:
    async with at_work(test_pump) as port:
        for wants, mode in (("more", 1), (1_000, 2), ("more", 1)):
            await told(port, wants)
            assert test_pump.holding[12] == mode
        await told(port, None)
    assert test_pump.holding[12] == 3


@pytest.mark.parametrize("then", [1_000, None])
async def test_after_a_crash_in_a_boost_what_is_wanted_then_takes_its_place(
    test_pump: Unit, then: int | None
) -> None:
    port = FakePort()
    async with ModbusServer({1: test_pump}) as server:
        async with running(driver(server, profile="test-pump").run(port)):
            await told(port, "more")
        port.facts.lose_unsynced()
        async with running(driver(server, profile="test-pump").run(port)):
            await told(port, then)
    assert test_pump.holding[12] == (3 if then is None else 2)


KEPT_ALIVE = (
    ('by = "device", within_s = 7200', 'by = "keep-alive", within_s = 120'),
    ('{ point = "mode", value', '{ keep_alive = true, point = "mode", value'),
)


@pytest.mark.parametrize("test_profile", [KEPT_ALIVE], indirect=True)
async def test_a_renewal_of_a_boost_writes_only_what_keeps_it_alive(test_pump: Unit) -> None:
    async with at_work(test_pump) as port:
        await told(port, "more")
        test_pump.writes.clear()
        await told(port, "more")
    assert test_pump.writes == [("holding", 12, 1)]


async def test_a_device_that_does_not_follow_a_boost_has_refused_it(test_pump: Unit) -> None:
    test_pump.deaf_to.add(12)
    async with at_work(test_pump) as port:
        await told(port, "more")
    assert "did not follow" in port.refusals[0][1]


async def test_a_device_without_a_boost_refuses_it(server: ModbusServer) -> None:
    port = FakePort()
    async with running(driver(server).run(port)):
        await told(port, "more")
    assert port.refusals[0][1] == "this device cannot be asked to draw more"
    assert server.units[1].writes == []


WORN = (('max = 3, wear = "volatile"', 'max = 3, wear = "eeprom", writes_per_day = 4'),)


@pytest.mark.parametrize("test_profile", [WORN], indirect=True)
async def test_a_boost_counts_in_the_wear_of_what_it_writes_and_giving_back_is_kept(test_pump: Unit) -> None:
    async with at_work(test_pump) as port:
        await told(port, "more")
        assert port.points["changes_left"].value == 2
        await told(port, None, "more", "more")
        assert port.refusals == []
        await told(port, 1_000)
        assert "mode was written 3 times today" in port.refusals[0][1]
        await told(port, None)
    assert test_pump.holding[12] == 3


@pytest.mark.parametrize(
    ("test_profile", "changes"), [((), 6), (WORN, 4)], indirect=["test_profile"], ids=["calm", "worn"]
)
def test_what_has_a_boost_can_be_asked_to_draw_more_and_its_wear_is_known(
    test_profile: None, changes: int
) -> None:
    ability = KIND.ability(KIND.settings.model_validate({"host": "h", "profile": "test-pump"}))
    assert (ability.raises, ability.changes_per_day) == (True, changes)


async def test_a_device_that_does_not_follow_refused(server: ModbusServer) -> None:
    server.units[1].deaf_to.add(70)
    port = FakePort()
    async with running(driver(server).run(port)):
        want = port.want(0)
        await port.until(lambda: port.answered(want))
        assert "did not follow" in port.refusals[0][1]
        await port.until(lambda: "power_w" in port.points)  # and the conversation goes on


async def test_a_write_that_is_refused_is_told_to_the_one_who_asked(server: ModbusServer) -> None:
    server.units[1].read_only.add(71)
    port = FakePort()
    async with running(driver(server).run(port)):
        want = port.want(0)
        await port.until(lambda: port.answered(want))
    assert "illegal value" in port.refusals[0][1]
    assert port.done == []


async def test_a_hold_its_owner_undid_is_put_back_with_the_next_renewal(server: ModbusServer) -> None:
    port, pump = FakePort(), server.units[1]
    async with running(driver(server).run(port)):
        first = port.want(0)
        await port.until(lambda: port.answered(first))
        pump.holding[70] = 0
        second = port.want(0)
        await port.until(lambda: port.answered(second))
    assert port.done[-1].proof is Proof.READ_BACK
    assert pump.holding[70] == 1


async def test_what_its_owner_set_after_the_release_is_left_alone(server: ModbusServer) -> None:
    port, pump = FakePort(), server.units[1]
    async with running(driver(server).run(port)):
        for at_most_w in (0, None):
            want = port.want(at_most_w)
            await port.until(lambda want=want: port.answered(want))  # type: ignore[misc]
    pump.holding |= {70: 1, 71: 4_000}
    pump.writes.clear()
    async with running(driver(server).run(port)):
        want = port.want(None)
        await port.until(lambda: port.answered(want))
    assert pump.writes == []


async def test_a_hold_whose_note_was_lost_in_a_crash_is_still_given_back(server: ModbusServer) -> None:
    port, pump = FakePort(), server.units[1]
    async with running(driver(server).run(port)):
        for at_most_w in (0, None, 0):
            want = port.want(at_most_w)
            await port.until(lambda want=want: port.answered(want))  # type: ignore[misc]
    port.facts.lose_unsynced()
    async with running(driver(server).run(port)):
        want = port.want(None)
        await port.until(lambda: port.answered(want))
    assert pump.holding[70] == 0


async def test_without_the_sites_consent_a_limit_without_fallback_is_never_written() -> None:
    unit = Unit(holding={6007: 60, 6012: 0}, input=dict.fromkeys((1, 5, 7), 0))
    async with ModbusServer({1: unit}) as server:
        port = FakePort()
        async with running(driver(server, profile="nibe-s").run(port)):
            for at_most_w in (0, 3_000, None):
                want = port.want(at_most_w)
                await port.until(lambda want=want: port.answered(want), within_s=5)  # type: ignore[misc]
    assert unit.writes == []
    assert len(port.refusals) == 2
