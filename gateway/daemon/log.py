"""How the daemon's log looks: events in plain words with facts, on standard output."""

from __future__ import annotations

import logging

import structlog


def set_up_log(*, as_json: bool) -> None:
    """JSON lines for a service manager, else readable lines; renderers that need no other library."""
    renderer = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    # Libraries below us say the same with less sense; what matters reaches us as an exception.
    logging.getLogger().setLevel(logging.CRITICAL)
