"""A length of time in words, as every reason tells it."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """To the second below 90 s, to the minute up to three hours, beyond to a tenth of an hour."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds <= 10_800 else f"{seconds / 3600:.1f} h"
