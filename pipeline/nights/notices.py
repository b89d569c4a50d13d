"""Messages about nights: whether one is due, and the webhook that takes it. Mail is Luigi's (`tasks.nights`).

A message that cannot be delivered never fails a night: it is named in a warning, and counted in the next one.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StageError
from pipeline.nights.notes import NIGHTLY
from pipeline.settings.nights import ALWAYS, NEVER, Watch
from pipeline.storage.files import read_json, write_json

log = logging.getLogger("latentbench")

SENT = ".sent.json"  # in outputs/nightly: when messages were sent, and what was held back since
ATTEMPTS, PAUSE, TIMEOUT = 3, 2.0, 10.0  # tries; seconds before the second, doubled; seconds of each
MOST_HELD = 20  # subjects that are named


@dataclass(frozen=True)
class Notice:
    """A message about a night: `text` is Markdown, `facts` are for programs, and one `about` is throttled together.

    The subject is made one line, since names from outside must add no header to a mail.
    """

    about: str
    subject: str
    text: str
    alarming: bool
    facts: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", " ".join(self.subject.split()))


def inform(
    outputs: Path,
    watch: Watch,
    notice: Notice,
    mail: Callable[[str, str], bool] | None = None,
    now: Callable[[], float] = time.time,
) -> bool:
    """Send a message if the settings ask for it and none was sent lately; answers whether it was sent.

    mail: takes subject and text, and answers whether it could be sent. The next message counts what is held back.
    """
    if watch.inform == NEVER or not (notice.alarming or watch.inform == ALWAYS):
        return False
    sent = _read(outputs)
    entry = sent.get(notice.about, {"at": 0.0, "held": []})
    held = [*entry["held"], notice.subject]
    if 0 <= now() - entry["at"] < watch.pause_hours * 3600:  # a clock that went back holds nothing up
        _write(outputs, {**sent, notice.about: {**entry, "held": held}})
        log.warning("A message on %s was sent less than %g hours ago: %s is held back.", *_words(notice, watch))
        return False
    text = notice.text + _held_back(entry["held"])
    delivered = [_posted(watch.webhook, notice, text)] if watch.webhook else []
    if mail is not None:
        delivered.append(mail(notice.subject, text))
    known = {"at": now(), "held": []} if any(delivered) else {**entry, "held": held if delivered else []}
    _write(outputs, {**sent, notice.about: known})
    return any(delivered)


def _words(notice: Notice, watch: Watch) -> tuple[str, float, str]:
    return notice.about, watch.pause_hours, notice.subject


def _held_back(subjects: list[str]) -> str:
    if not subjects:
        return ""
    more = len(subjects) - MOST_HELD
    lines = [f"- {subject}" for subject in subjects[-MOST_HELD:]] + ([f"- and {more} more"] if more > 0 else [])
    return "\nHeld back since the last message:\n\n" + "\n".join(lines) + "\n"


def _posted(address: str, notice: Notice, text: str) -> bool:
    """Post a message; answers whether it was taken. Errors of the server and of the network are tried again."""
    shown = f"{notice.subject}\n\n{text}".replace("&", "&amp;").replace("<", "&lt;")  # <!channel> would call everybody
    body = json.dumps({"text": shown, **notice.facts}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "latentbench"}
    fault = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        request = urllib.request.Request(address, data=body, headers=headers, method="POST")
        try:
            with _OPENER.open(request, timeout=TIMEOUT):
                return True
        except urllib.error.HTTPError as error:
            fault = f"it answered {error.code} {error.reason}"
            if error.code < 500 and error.code != 429:
                break
        except (OSError, ValueError) as error:
            fault = f"{getattr(error, 'reason', error)}"
    log.warning("The webhook did not take the message %r: %s. [nights] webhook names it.", notice.subject, fault)
    return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A webhook answers for itself: what is sent there goes nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """No other address is asked."""


_OPENER = urllib.request.build_opener(_NoRedirect)


def _read(outputs: Path) -> dict[str, Any]:
    """When messages were sent, by what they are about; nothing where that is not known."""
    try:
        value = read_json(outputs / NIGHTLY / SENT)
        return {str(about): {"at": float(entry["at"]), "held": list(entry["held"])} for about, entry in value.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, StageError) as error:
        log.warning("%s is damaged (%s): messages may be sent once more.", outputs / NIGHTLY / SENT, error)
        return {}


def _write(outputs: Path, sent: Mapping[str, Any]) -> None:
    folder = outputs / NIGHTLY
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder, SENT, dict(sent))
