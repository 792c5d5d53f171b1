"""How long the conversation with a charger waits, for what. A test has less patience than a house."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Waits in seconds."""

    first_contact_s: float = 90.0  # for a charger that never came; then it is told why
    reconnect_s: float = 20.0  # for one that hung up; chargers back off up to 20 s after a network fault
    boot_s: float = 25.0  # before we call a charger that says nothing of a start
    quiet_s: float = 5.0  # ... and one that says something else first: it has started before
    question_s: float = 3.0  # that a limit waits for the answer to a question
    known_s: float = 30.0  # for a word on whether a session runs
    adopt_s: float = 5.0  # for the id of a session whose start nobody heard
    clock_s: float = 2.0  # for a message that tells the charger's clock, before the first limit
    again_s: float = 5.0  # after a pause the limit is said twice: some overhear the first
    resume_s: float = 60.0  # for current after a pause
    follow_s: float = 30.0  # for the power to come under the limit
    trigger_s: float = 30.0  # between two requests for a message
    start_s: float = 3.0  # for a charger that starts by itself
    retry_s: float = 2.0  # after a call without an answer, doubled each time
