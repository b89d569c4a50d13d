"""Mail about nights, through Luigi's own sender, to a real server on the loopback."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from luigi.configuration import get_config

from tasks.mail import mailer
from tests.builders import mail_server


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, str]]]:
    """[email] and [smtp] of Luigi, for a receiver."""
    sections = {
        "email": {"receiver": "me@example.org, you@example.org", "sender": "night@example.org", "prefix": "[x]"},
        "smtp": {"host": "127.0.0.1", "port": "9", "timeout": "5"},
    }
    sections["email"]["force_send"] = "true"
    before = {name: dict(get_config().items(name)) if get_config().has_section(name) else {} for name in sections}
    yield sections
    for name in sections:
        get_config().remove_section(name)
        for key, value in before[name].items():
            get_config().set(name, key, value)


def give(sections: dict[str, dict[str, str]]) -> None:
    for name, values in sections.items():
        for key, value in values.items():
            get_config().set(name, key, value)


def test_a_mail_reaches_every_receiver(config: dict[str, dict[str, str]]) -> None:
    with mail_server.serving() as (port, taken):
        config["smtp"]["port"] = str(port)
        give(config)
        mail = mailer()
        assert mail is not None and mail("2026-11-28: 2 regressions", "l2l 0.31 → 0.40")
    (message,) = taken
    assert message["Subject"] == "[x] 2026-11-28: 2 regressions" and message["From"] == "night@example.org"
    assert message["To"] == "me@example.org,you@example.org"
    (part,) = message.get_payload()  # type: ignore[misc]
    assert part.get_payload(decode=True).decode() == "l2l 0.31 → 0.40"  # type: ignore[union-attr]


def test_a_server_that_does_not_answer_is_named(
    config: dict[str, dict[str, str]], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("latentbench"), "propagate", True)
    give(config)
    mail = mailer()
    assert mail is not None and not mail("subject", "text")
    assert "The mail 'subject' was not sent" in caplog.text


def test_nobody_to_mail_to(config: dict[str, dict[str, str]]) -> None:
    config["email"]["receiver"] = ""
    give(config)
    assert mailer() is None
