"""Whether one asset follows what it was given: inside the value, on two fresh samples or for ten seconds.

And what shows it: the setpoint that its device took, and the sample that was the first inside.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gateway.core.life import Evidence, Following, Life, Now, Proof, Response, Seen, Setting
from gateway.core.model import Asset, AssetClass, Given, Kind, Quality, Reading

# All from the contract, "Followed".
FRESH_SAMPLES = 2
INSIDE_FOR_S = 10.0
PATIENCE_S = {AssetClass.EV: 30.0, AssetClass.HEAT: 300.0, AssetClass.PLUG: 15.0}
ABOVE_W, ABOVE_SHARE = 100.0, 0.05
BELOW_W, BELOW_SHARE = 200.0, 0.10
MEASURED_MAX_AGE_S = 60.0  # an older sample says nothing of now; the slowest meter we take sends each 10 s
SAME_SAMPLE_S = 0.001  # ages are differences of clock readings


def measured_w(seen: Seen) -> float | None:
    """What the asset draws as far as it may be believed; None: nobody knows."""
    power = seen.power
    if power is None or power.quality is Quality.BAD or power.age_s > MEASURED_MAX_AGE_S:
        return None
    return power.value if math.isfinite(power.value) else None


def band_w(given: Given, asset: Asset) -> tuple[float, float]:
    """The powers inside the value, tolerance included. What a limit grants instead is inside too."""
    granted_w = given.asked_w if given.granted_w is None else given.granted_w
    low_w, high_w = sorted((given.asked_w, granted_w))
    above_w = high_w + max(ABOVE_W, ABOVE_SHARE * abs(high_w), asset.device_step_w)
    below_w = low_w - max(BELOW_W, BELOW_SHARE * abs(low_w))
    if given.kind is Kind.CAP:
        return -math.inf, above_w
    if given.kind.only_raises:
        return below_w, math.inf
    return below_w, above_w


def is_inside(power_w: float | None, band: tuple[float, float]) -> bool:
    """Whether a known power is inside the band."""
    return power_w is not None and band[0] <= power_w <= band[1]


def follow(was: Following | None, given: Given, asset: Asset, seen: Seen, now_s: float) -> Following:
    """How the asset follows, one look later."""
    following = was or Following(onset_s=now_s)
    power_w = measured_w(seen)
    if power_w is None:
        read_back = seen.proof is Proof.READ_BACK and given.granted_w is not None
        following = replace(following, inside_since_s=None, inside_samples=0, follows=read_back, first=None)
    elif not is_inside(power_w, band_w(given, asset)):
        following = replace(following, inside_since_s=None, inside_samples=0, follows=False, first=None)
    else:
        sample_s = now_s - (seen.power.age_s if seen.power else 0.0)
        following = _first(_inside(following, sample_s, now_s), seen.power, sample_s)
    return replace(following, followed_s=now_s) if following.follows else following


def evidenced(life: Life, following: Following, seen: Seen, now: Now) -> Life:
    """The life with what first showed that it follows, as far as that is known by now; each is kept."""
    return replace(
        life,
        setting=life.setting or _setting(seen, now),
        response=life.response or _response(life, following, now),
    )


def _setting(seen: Seen, now: Now) -> Setting | None:
    is_ours = seen.raised or seen.at_most_w is not None
    if seen.proof is None or seen.set_since_s is None or not is_ours:
        return None
    at_utc_s = now.utc_s - (now.now_s - seen.set_since_s)
    return Setting(at_utc_s, seen.at_most_w, seen.raised, seen.proof is Proof.READ_BACK)


def _response(life: Life, following: Following, now: Now) -> Response | None:
    """What was inside before we acted is no response, nor is a confirmation without a measurement."""
    first = following.first
    if first is None or not following.follows or life.evidence is not Evidence.MEASURED:
        return None
    return Response(now.utc_s - (now.now_s - following.first_s), first.value, first.source)


def is_out_of_patience(following: Following, asset: Asset, seen: Seen, now_s: float) -> bool:
    """Whether the asset has had its time since the write, or since it last followed."""
    marks_s = (following.onset_s, seen.set_since_s, following.followed_s)
    since_s = max(mark_s for mark_s in marks_s if mark_s is not None)
    return now_s - since_s >= PATIENCE_S[asset.asset_class]


def _first(following: Following, sample: Reading | None, sample_s: float) -> Following:
    if following.first or sample is None or sample_s < following.onset_s - SAME_SAMPLE_S:
        return following
    return replace(following, first=sample, first_s=sample_s)


def _inside(following: Following, sample_s: float, now_s: float) -> Following:
    is_new = sample_s > following.sample_s + SAME_SAMPLE_S
    samples = following.inside_samples + (is_new or not following.inside_samples)
    since_s = now_s if following.inside_since_s is None else following.inside_since_s
    return replace(
        following,
        sample_s=max(sample_s, following.sample_s),
        inside_since_s=since_s,
        inside_samples=samples,
        follows=samples >= FRESH_SAMPLES or now_s - since_s >= INSIDE_FOR_S,
    )
