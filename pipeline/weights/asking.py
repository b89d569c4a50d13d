"""One HTTP request: proxies, redirects, and a server that keeps silent."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import requests

from pipeline.errors import WeightsError
from pipeline.settings.downloads import Downloads

MOST_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)


def session() -> requests.Session:
    """Connections that are kept; proxies and certificates are those of the environment."""
    asking = requests.Session()
    asking.headers["User-Agent"] = "latentbench"
    asking.headers["Accept-Encoding"] = "identity"  # the file's own bytes: they are counted and hashed
    return asking


def ask(asking: requests.Session, url: str, headers: dict[str, str], settings: Downloads) -> requests.Response:
    """The answer to a GET, its body unread, after redirects.

    Raises requests.RequestException, and WeightsError for a redirect that leaves the host for anything but https.
    """
    proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else None
    silence = (settings.timeout, settings.timeout)  # to connect, and between two bytes
    for _ in range(MOST_REDIRECTS + 1):
        answer = asking.get(url, headers=headers, stream=True, allow_redirects=False, timeout=silence, proxies=proxies)
        if answer.status_code not in REDIRECTS:
            return answer
        target = urljoin(url, answer.headers.get("Location", ""))
        answer.close()
        check_redirect(url, target)
        url = target
    raise WeightsError(
        f"{url}: more than {MOST_REDIRECTS} redirects. Nothing was taken; name another server: --mirror URL"
    )


def check_redirect(url: str, target: str) -> None:
    """Raise WeightsError unless a redirect goes to https, or stays with the same host and scheme."""
    before, after = urlsplit(url), urlsplit(target)
    same = (before.scheme, before.netloc) == (after.scheme, after.netloc)
    if after.scheme != "https" and not same:
        raise WeightsError(
            f"{url} redirects to {target}: expected https or the same host. Nothing was taken; name another server: "
            "--mirror URL"
        )
