"""Mail about nights, sent by Luigi as it sends its own about failed tasks: [email] and [smtp] of luigi.cfg."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

from tasks.luigi_apart import luigi

log = logging.getLogger("latentbench")


class _Faults(logging.Handler):
    """What Luigi logs when a mail server does not answer, which it does not raise."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def mailer() -> Callable[[str, str], bool] | None:
    """A function that mails a subject and a text, and answers whether it could; None where nobody is to get mail."""
    return _send if luigi.notifications.email().receiver else None


def one_mail_a_night() -> None:
    """Keep Luigi from a mail for each task that fails: the night's own message names them all."""
    luigi.configuration.get_config().set("worker", "send_failure_email", "false")


def _send(subject: str, text: str) -> bool:
    faults, luigis = _Faults(), logging.getLogger("luigi-interface")
    addresses = luigi.notifications.email()
    level = luigis.level
    luigis.addHandler(faults)
    luigis.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that [smtp] local_hostname and password are not given
            luigi.notifications.send_email(subject, text, addresses.sender, [addresses.receiver])
    finally:
        luigis.setLevel(level)
        luigis.removeHandler(faults)
    for message in faults.messages:
        log.warning("The mail %r was not sent: %s. [smtp] names the server.", subject, message)
    return not faults.messages
