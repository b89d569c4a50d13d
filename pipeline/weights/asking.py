"""One HTTP GET with proxies, bounded redirects and a read timeout."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import requests

from pipeline.errors import WeightsError
from pipeline.settings.downloads import Downloads

MOST_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)


def session() -> requests.Session:
    """A session that reuses connections, with the proxies and certificates of the environment."""
    connections = requests.Session()
    connections.headers["User-Agent"] = "latentbench"
    connections.headers["Accept-Encoding"] = "identity"  # uncompressed: the file's bytes are counted and hashed
    return connections


def ask(connections: requests.Session, url: str, headers: dict[str, str], settings: Downloads) -> requests.Response:
    """The response to a GET after redirects, with its body unread.

    Raises requests.RequestException, and WeightsError for too many redirects or an unsafe one.
    """
    proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else None
    timeout = (settings.timeout, settings.timeout)  # to connect, and between two bytes
    for _ in range(MOST_REDIRECTS + 1):
        response = connections.get(
            url, headers=headers, stream=True, allow_redirects=False, timeout=timeout, proxies=proxies
        )
        if response.status_code not in REDIRECTS:
            return response
        target = urljoin(url, response.headers.get("Location", ""))
        response.close()
        check_redirect(url, target)
        url = target
    raise WeightsError(
        f"{url}: more than {MOST_REDIRECTS} redirects. Nothing was saved; name another server: --mirror URL"
    )


def check_redirect(url: str, target: str) -> None:
    """Raise WeightsError unless a redirect goes to https, or stays with the same host and scheme."""
    before, after = urlsplit(url), urlsplit(target)
    same = (before.scheme, before.netloc) == (after.scheme, after.netloc)
    if after.scheme != "https" and not same:
        raise WeightsError(
            f"{url} redirects to {target}: expected https or the same host. Nothing was saved; name another server: "
            "--mirror URL"
        )
