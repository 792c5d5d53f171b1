"""A profile says what it does in the format's words, or is refused with the field and the cure."""

from __future__ import annotations

import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.driver import KIND
from drivers.profile import Confidence, Profile, ProfileError, all_profiles, firmware_range, load, parse
from gateway.core.model import Ability, FallbackBy

ROOT = Path(__file__).parents[2]
XTHERMA = (ROOT / "firmware_profiles/heat_pump/xtherma.toml").read_text()
NIBE = (ROOT / "firmware_profiles/heat_pump/nibe-s.toml").read_text()


def test_every_file_is_found_and_parsed() -> None:
    files = {path.stem for path in (ROOT / "firmware_profiles").glob("*/*.toml")}
    assert {profile.id for profile in all_profiles()} == files
    assert {"xtherma", "nibe-s"} <= files


def test_firmware_ranges_of_one_product_are_disjoint() -> None:
    for one, other in combinations(all_profiles(), 2):
        if one.vendor == other.vendor and set(one.models) & set(other.models):
            both = firmware_range(one.firmware).overlaps(firmware_range(other.firmware))
            assert not both, f"{one.id} and {other.id}"


@pytest.mark.parametrize("profile", all_profiles(), ids=lambda profile: profile.id)
def test_no_action_touches_a_disputed_or_unbounded_point(profile: Profile) -> None:
    for action in profile.actions.named.values():
        for step in action.writes:
            point = profile.points[step.point]
            assert point.write is not None
            assert point.confidence is not Confidence.DISPUTED


@pytest.mark.parametrize("profile", all_profiles(), ids=lambda profile: profile.id)
def test_a_full_block_always_has_a_fallback(profile: Profile) -> None:
    for hold in profile.actions.holds:
        lowest = min((*hold.levels_w, *([hold.range_w.min] if hold.range_w else [])))
        assert hold.fallback.by != "none" or lowest > 0


@pytest.mark.parametrize(
    ("text", "old", "new", "says"),
    [
        (XTHERMA, 'vendor   = "Xtherma"', 'vendor = "X"\ncolour = "red"', "colour: Extra inputs"),
        (XTHERMA, 'type = "bool", source', 'type = "boolean", source', "points.error_free.type"),
        (XTHERMA, "address = 100", "address = 40100101", "less than or equal to 65535"),
        (XTHERMA, 'source = "maker"', 'source = "hearsay"', "'hearsay' is not one of"),
        (XTHERMA, 'point = "surplus_w", value = 0', 'point = "surplus_w", value = 5', "= 5 is outside 0..0"),
        (
            XTHERMA,
            'point = "surplus_w", value = 0',
            'point = "sg_state", value = 2',
            "sg_state is not writable",
        ),
        (XTHERMA, 'point = "surplus_w", value = 0', 'point = "heater", value = 0', "no point 'heater'"),
        (XTHERMA, 'point = "surplus_w", value = 0', 'point = "surplus_w"', "either `value` or `from`"),
        (XTHERMA, 'wear = "volatile"', 'wear = "eeprom"', "so it must be volatile"),
        (XTHERMA, ", keep_alive = true", "", "fallback keep-alive needs a write"),
        (XTHERMA, ", within_s = 120", "", "`within_s` belongs to"),
        (XTHERMA, 'firmware = ">=2.40"', 'firmware = "2.40 or newer"', "is no version range"),
        (XTHERMA, 'address = 71, type = "uint16"', 'address = 71, type = "uint32"', "function 06 writes one"),
        (
            XTHERMA,
            'confidence = "inferred"\n\n[actions.r',
            'confidence = "disputed"\n\n[actions.r',
            "is disputed",
        ),
        (XTHERMA, "[actions.release]", "[actions.unlock]", "actions.unlock: Extra inputs"),
        (
            XTHERMA,
            'address = 140, type = "int16"',
            'address = 140, type = "uint16"',
            "-32768 does not fit uint16",
        ),
        (
            XTHERMA,
            'table = "holding", address = 70',
            'table = "input", address = 70',
            "input cannot be written",
        ),
        (
            NIBE,
            "min = 1100, max = 100000, step",
            "min = 0, max = 100000, step",
            "never allowed for a full block",
        ),
        (NIBE, "min = 1100, max = 100000, step", "min = 500, max = 100000, step", "= 500 is outside 1100"),
        (NIBE, "id       =", "id       ==", "nibe.toml: Invalid"),
    ],
)
def test_a_wrong_profile_is_refused_with_the_field_and_the_cure(
    text: str, old: str, new: str, says: str
) -> None:
    assert old in text
    with pytest.raises(ProfileError) as error:
        parse(text.replace(old, new, 1), name="nibe.toml")
    assert says in str(error.value)
    assert str(error.value).startswith("nibe.toml: ")


BOOST = """
[actions.boost]
writes     = [{ point = "surplus_w", value = 0, keep_alive = true }, { point = "surplus_control", value = 1 }]
fallback   = { by = "keep-alive", within_s = 120, source = "field" }
source     = "maker"
confidence = "seen"
"""
BLOCK = XTHERMA[XTHERMA.index("[actions.block]") : XTHERMA.index("[actions.release]")]
RELEASE = "[actions.release]\nwrites     = ["
BOOSTED = XTHERMA.replace(RELEASE, f'{RELEASE}{{ point = "surplus_w", value = 0 }}, ') + BOOST


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('[{ point = "surplus_w", value = 0 }, ', "[", "boost and release must write the same points"),
        (', { point = "surplus_control", value = 1 }]\nread', "]\nread", "must write every point that boost"),
        (BOOST, BOOST.replace("120", "90"), "block, limit and boost must have the same fallback"),
        ("within_s = 120", "within_s = 10801", "a boost must end by itself within 10800 s"),
        (BLOCK, "", "it needs a block or a limit"),
        (BOOST, BOOST.replace(', source = "field"', ', source = "x"'), "actions.boost.fallback.source: 'x'"),
    ],
)
def test_a_boost_ends_by_itself_and_is_replaced_by_whatever_comes_after_it(
    old: str, new: str, says: str
) -> None:
    assert parse(BOOSTED).actions.boost
    assert old in BOOSTED
    with pytest.raises(ProfileError, match=says):
        parse(BOOSTED.replace(old, new))


def test_every_fault_is_told_at_once() -> None:
    broken = XTHERMA.replace('type = "bool"', 'type = "boolean"')
    with pytest.raises(ProfileError) as error:
        parse(broken)
    assert len(str(error.value).splitlines()) == broken.count('"boolean"')


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(ProfileError, match="there are nibe-s, xtherma"):
        load("vaillant")


# --- firmware ranges --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (">=4.7.5", "<4.7.5", False),
        (">=4.7.5", "<=4.7.5", True),
        (">2", "==2.0", False),
        (">=2.10", "<2.9", False),
        (">=1,<2", ">=1.9,<3", True),
        ("any", "==1", True),
    ],
)
def test_ranges_overlap_where_one_version_is_in_both(one: str, other: str, both: bool) -> None:
    assert firmware_range(one).overlaps(firmware_range(other)) is both
    assert firmware_range(other).overlaps(firmware_range(one)) is both


RANGE = st.tuples(st.integers(0, 4), st.integers(1, 5)).map(lambda pair: (pair[0], sum(pair)))


@given(RANGE, RANGE)
def test_half_open_ranges_overlap_as_intervals_do(one: tuple[int, int], other: tuple[int, int]) -> None:
    texts = [firmware_range(f">={low},<{high}") for low, high in (one, other)]
    assert texts[0].overlaps(texts[1]) == bool(set(range(*one)) & set(range(*other)))


# --- what a site may ask of it ----------------------------------------------------------------------


def _ability(**section: Any) -> Ability:
    return KIND.ability(KIND.settings.model_validate({"host": "pump"} | section))


def test_a_keep_alive_block_is_a_lease_of_its_watchdog() -> None:
    ability = _ability(profile="xtherma")
    assert (ability.levels_w, ability.range_w) == ((0,), None)
    assert (ability.fallback, ability.lease_s) == (FallbackBy.KEEP_ALIVE, 120)


def test_a_limit_without_fallback_needs_the_sites_consent_and_stays_above_it() -> None:
    assert not _ability(profile="nibe-s").holds
    assert _ability(profile="nibe-s", harmless_w=2_050).range_w == (2_100, 100_000)
    assert _ability(profile="nibe-s", harmless_w=600).range_w == (1_100, 100_000)
    assert _ability(profile="nibe-s", harmless_w=2_050).fallback is FallbackBy.NONE


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"profile": "vaillant"}, "there are nibe-s, xtherma"),
        ({"profile": "nibe-s", "harmless_w": 200_000}, "above the highest cap"),
        ({"profile": "xtherma", "slave": 1}, "slave"),
        ({"profile": "xtherma", "poll_s": 0.1}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_section_is_refused(section: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        KIND.settings.model_validate({"host": "pump"} | section)


def test_the_readme_shows_a_profile_that_parses() -> None:
    readme = (ROOT / "firmware_profiles/README.md").read_text()
    example = readme.split("```toml\n")[1].split("```")[0]
    assert parse(example).id == tomllib.loads(example)["id"]
