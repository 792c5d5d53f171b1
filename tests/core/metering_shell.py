"""What the daemon does around a meter, on a clock of the test's own: a load that a device tells of, minutes
that are cut when they are due, restarts and steps of the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.metering import Anchor, Meter, Reading, Sample, Spec, begin, cut, due_s, feed, resume

NOON_UTC_S = 1_795_435_200.0  # 2026-11-23T12:00:00Z
WH = 3600
PLAIN = Spec()


@dataclass
class Shell:
    """What the daemon does around a meter: feeds samples as they come, cuts when something is due."""

    meter: Meter
    anchor: Anchor
    offset_s: int
    now_s: float
    samples: list[Sample] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    @classmethod
    def start(
        cls, spec: Spec = PLAIN, *, second: float = 0, offset_s: int = 0, trusted: bool = True
    ) -> Shell:
        """A shell whose monotonic clock says 1000 at `second` past noon."""
        anchor = Anchor(1000.0, NOON_UTC_S + second, trusted)
        return cls(begin(spec, 1000.0, anchor, offset_s), anchor, offset_s, 1000.0)

    def pass_until(self, at_s: float) -> None:
        while (next_s := max(self.now_s, due_s(self.meter))) <= at_s:
            self.now_s = next_s
            self._cut()
        self.now_s = at_s

    def _cut(self) -> None:
        self.meter, readings = cut(self.meter, self.now_s, self.anchor, self.offset_s)
        self.readings += readings

    def say(self, at_s: float, **told: object) -> None:
        """The device says something at `at_s`, and it is told at once."""
        self.pass_until(at_s)
        sample = Sample(at_s, **told)  # type: ignore[arg-type]
        self.samples.append(sample)
        self.meter = feed(self.meter, sample)
        self.pass_until(at_s)

    def set_offset(self, offset_s: int) -> None:
        self.offset_s = offset_s
        self._cut()

    def set_clock(self, anchor: Anchor) -> None:
        self.anchor = anchor
        self._cut()

    def step_clock(self, by_s: float) -> None:
        self.set_clock(replace(self.anchor, utc_s=self.anchor.utc_s + by_s))

    def restart(self, down_s: float, anchor: Anchor | None = None) -> None:
        """The process dies after its last cut and is back `down_s` later."""
        self.pass_until(self.now_s)
        self.now_s = self.now_s + down_s if anchor is None else anchor.mono_s
        self.anchor = anchor or self.anchor
        self.meter = resume(self.meter, self.now_s, self.anchor, self.offset_s)


def fed(
    until_s: float,
    power_w: Callable[[float], float],
    *,
    every_s: float = 1.0,
    unit_ws: int = 1,
    spec: Spec = PLAIN,
    silent: Sequence[tuple[float, float]] = (),
    register: bool = True,
) -> Shell:
    """A shell that heard a load from noon on, `power_w` of seconds, to the whole second."""
    shell, energy_ws = Shell.start(spec), 1_000_000 * WH
    for second in range(int(until_s) + 1):
        is_silent = any(a < second < b for a, b in silent)
        if second % every_s == 0 and not is_silent:
            told = {"import_ws": energy_ws // unit_ws * unit_ws} if register else {}
            shell.say(1000.0 + second, power_w=power_w(second), **told)
        energy_ws += round(power_w(second))
    shell.pass_until(1000.0 + until_s + 2)
    return shell


def constant(power_w: float) -> Callable[[float], float]:
    return lambda _: power_w
