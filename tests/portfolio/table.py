"""All portfolios that the page tells of, and what came out, as text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from tests.portfolio.home import RAMP_S, RETURN_S
from tests.portfolio.study import NAMES, RAMP, SCHEMES, STEADY, Error, Study, error, lag_s, study

# Homes and how many portfolios of them, each drawn anew: the larger, the less another one differs.
SIZES = {"quick": {60: 2, 100: 2}, "usual": {60: 8, 100: 8, 300: 4, 1000: 2, 3000: 1}}
SHOWN = {"quick": 100, "usual": 1000}  # of which all schemes are compared


@dataclass(frozen=True, slots=True)
class Outcome:
    """One estimator on one portfolio; lags in seconds, at half and at nine tenths of the way down and up."""

    steady: Error
    ramp: Error
    lags_s: tuple[int | None, int | None, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Portfolios:
    """Everything: by size with offsets of 0 to 59, and of one size by scheme. `extra`: messages of steps for
    each home and hour. `shown` are the series of one portfolio by scheme."""

    by_size: dict[int, list[dict[str, Outcome]]]
    by_scheme: dict[str, dict[str, Outcome]]
    extra: float
    shown: dict[str, Study]


def measure(length: str) -> Portfolios:
    """Live through all of them, on all processors."""
    sizes, shown = SIZES[length], SHOWN[length]
    asked = [(count, seed, "0-59") for count, times in sizes.items() for seed in range(times)]
    asked += [(shown, 0, scheme) for scheme in SCHEMES if scheme != "0-59"]
    with ProcessPoolExecutor(min(len(asked), os.cpu_count() or 1)) as pool:
        lived = dict(zip(asked, pool.map(study, *zip(*asked, strict=True)), strict=True))
    by_size = {n: [outcomes(lived[n, seed, "0-59"]) for seed in range(times)] for n, times in sizes.items()}
    schemes = {scheme: lived[shown, 0, scheme] for scheme in SCHEMES}
    extra = schemes["0-59"].extra / shown / (len(schemes["0-59"].truth) / 3600)
    return Portfolios(by_size, {name: outcomes(one) for name, one in schemes.items()}, extra, schemes)


def outcomes(one: Study) -> dict[str, Outcome]:
    """Each estimator of a portfolio."""
    return {name: _outcome(one.truth, one.estimates[name]) for name in NAMES}


def _outcome(truth: Sequence[float], estimate: Sequence[float]) -> Outcome:
    marks = ((0.5, RAMP_S), (0.9, RAMP_S), (0.5, RETURN_S), (0.9, RETURN_S))
    down5, down9, up5, up9 = (lag_s(truth, estimate, way, at_s) for way, at_s in marks)
    return Outcome(error(truth, estimate, STEADY), error(truth, estimate, RAMP), (down5, down9, up5, up9))


def text(found: Portfolios) -> str:
    """The figures, one block for the sizes and one for the schemes."""
    lines = ["by number of homes, offsets 0 to 59; root mean square, 95 %, the worst bias of all portfolios"]
    for count, lived in found.by_size.items():
        lines.append(f"{count} homes, {len(lived)} portfolios")
        lines += [_line(name, [one[name] for one in lived]) for name in NAMES]
    lines.append("")
    for scheme, outcome in found.by_scheme.items():
        lines.append(f"offsets {scheme}")
        lines += [_line(name, [outcome[name]]) for name in ("held mean", "held last", "settled step")]
    lines.append(
        f"\nsteps told at once: {found.extra:.1f} messages more for each home and hour, beside 60 minutes"
    )
    return "\n".join(lines)


def document(found: Portfolios) -> dict[str, Any]:
    """The same for a program."""
    sizes = {
        str(n): [{name: asdict(o) for name, o in one.items()} for one in lived]
        for n, lived in found.by_size.items()
    }
    schemes = {s: {name: asdict(o) for name, o in one.items()} for s, one in found.by_scheme.items()}
    return {"sizes": sizes, "schemes": schemes, "extra_messages_per_home_hour": found.extra}


def _line(name: str, found: Sequence[Outcome]) -> str:
    steady = [one.steady for one in found]
    worst = max(abs(one.bias) for one in steady)
    lags = [_mean(one.lags_s[place] for one in found) for place in range(4)]
    return (
        f"  {name:13} steady {fmean(e.rms for e in steady):6.2%} {fmean(e.p95 for e in steady):6.2%}"
        f" bias {worst:5.2%}   ramp {fmean(one.ramp.rms for one in found):6.1%}"
        f"   late, half way {lags[0]} down {lags[2]} up, nine tenths {lags[1]} down {lags[3]} up"
    )


def _mean(lags: Iterable[int | None]) -> str:
    known = [lag for lag in lags if lag is not None]
    return f"{fmean(known):.0f} s" if known else "never"
