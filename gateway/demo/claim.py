"""What the judge says: claims in words, each borne out by the log or not, and the verdict on a scene."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing a scene promises, in words, and whether the log bears it out."""

    text: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the log says of one scene."""

    number: int
    title: str
    claims: tuple[Claim, ...]

    @property
    def passed(self) -> bool:
        """Whether every claim holds."""
        return all(claim.holds for claim in self.claims)
