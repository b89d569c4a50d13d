"""[nights]: how a night is compared with the nights before, and who is informed. Nothing here changes a number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.settings.file import Section
from pipeline.settings.keys import choice, key, number, whole

NIGHTS = "nights"  # section of luigi.cfg
WEBHOOK = "LATENTBENCH_WEBHOOK"  # goes before the setting: the address of a webhook is often a secret
NEVER, FINDINGS, ALWAYS = "never", "findings", "always"


def _webhook(section: Section, name: str) -> str:
    """An http or https address, or nothing."""
    address = os.environ.get(WEBHOOK, "").strip() or section.text(name)
    parts = urlsplit(address)
    if address and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise section.fail(name, "an address http://... or https://..., or nothing")
    return address


@dataclass(frozen=True, kw_only=True)
class Watch:
    """When a night is flagged, and what is sent."""

    level: float = number(
        NIGHTS,
        "Chance that anything is flagged on a night that differs from the nights before by noise alone. Half of it is "
        "for scores that changed since the night before, half for slow drifts.",
        1e-6,
        0.5,
        default=0.01,
    )
    window: int = whole(NIGHTS, "Measurements in which a drift is looked for, at most.", 5, 60, default=30)
    inform: str = choice(
        NIGHTS,
        "What is sent by mail and webhook: never, findings (a night with a regression or a drift, or that failed), or "
        "always. Mail goes to the receiver of [email], as Luigi's own about failed tasks.",
        (NEVER, FINDINGS, ALWAYS),
        default=FINDINGS,
    )
    webhook: str = key(
        NIGHTS,
        _webhook,
        "Address that gets a JSON object by POST, with the message as `text` (Slack, Mattermost); empty: none. "
        "$LATENTBENCH_WEBHOOK goes before it.",
        default="",
    )
    pause_hours: float = number(
        NIGHTS,
        "Hours between two messages about the same domain and profile. What is held back meanwhile is counted in the "
        "next message.",
        0,
        1000,
        default=6.0,
    )
