"""Lines to one server that are kept for the next request: TLS, certificates and proxies."""

from __future__ import annotations

import threading
from base64 import b64encode
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from weakref import WeakSet

from strongroom.aws.wire import Line
from strongroom.errors import UsageError

if TYPE_CHECKING:  # every command loads this module, and few of them connect
    import ssl

_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 60.0
MOST_FREE: Final = 128  # as many as a backup has on their way: 2 threads, 32 objects, their tags
_PORTS: Final = {"http": 80, "https": 443}


class Server(NamedTuple):
    """Where requests go.

    ``endpoint``: a URL. ``certificates``: the file that the server is checked with. ``proxy``: the
    URL of what stands in between, or empty. Seconds are those of silence.
    """

    endpoint: str
    certificates: str = ""
    proxy: str = ""
    connect_seconds: float = _CONNECT_SECONDS
    read_seconds: float = _READ_SECONDS


class Lines:
    """Opens lines, and keeps those that are free; any thread may take one.

    ``host``: the name and port that a request is for, as its header has them.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._at = urlsplit(server.endpoint)
        self._proxy = _proxy_of(server.proxy)
        name = self._at.netloc.rpartition("@")[2]
        self.host = name.removesuffix(f":{_PORTS.get(self._at.scheme, 0)}")
        self._context: ssl.SSLContext | None = None
        if self._at.scheme == "https":
            self._context = _context_of(server.certificates)
        self._lock = threading.Lock()  # of the three below
        self._free: list[Line] = []
        self._open: WeakSet[Line] = WeakSet()
        self._closed = False

    @property
    def before_path(self) -> str:
        """What stands before the path in a request: a proxy is told the whole URL without TLS."""
        return f"http://{self.host}" if self._proxy and self._context is None else ""

    def headers(self) -> dict[str, str]:
        """Return what a proxy that reads the request wants to know; nobody signs it."""
        return _authorization(self._proxy) if self._proxy and self._context is None else {}

    def free(self) -> Line | None:
        """Return a line that was used before, the last one first; its server may close it yet."""
        while True:
            with self._lock:
                if not self._free:
                    return None
                line = self._free.pop()
            if line.is_quiet():
                return line
            line.close()

    def opened(self) -> Line:
        """Return a new one; OSError, also if they were closed."""
        import http.client  # noqa: PLC0415 - as above

        host, port = self._at.hostname or "", self._at.port or _PORTS[self._at.scheme]
        first = (host, port)
        if self._proxy is not None:
            first = self._proxy.hostname or "", self._proxy.port or _PORTS["http"]
        seconds = self._server.connect_seconds
        if self._context is None:
            made = http.client.HTTPConnection(*first, timeout=seconds)
        else:
            made = http.client.HTTPSConnection(*first, timeout=seconds, context=self._context)
            if self._proxy is not None:
                made.set_tunnel(host, port, headers=_authorization(self._proxy))
        try:
            made.connect()
        except http.client.HTTPException as error:
            raise OSError(f"the proxy gives no answer of HTTP: {error!r}") from error
        made.sock.settimeout(self._server.read_seconds)
        line = Line(made.sock)
        with self._lock:
            if not self._closed:
                self._open.add(line)
                return line
        line.close()
        raise OSError("the lines were closed")

    def give_back(self, line: Line) -> None:
        """Keep a line for the next request, or close it where its answer was not read whole.

        Each is an open file, so only ``MOST_FREE`` are kept.
        """
        is_free = line.is_free
        with self._lock:
            if is_free and not self._closed and len(self._free) < MOST_FREE:
                self._free.append(line)
                return
        line.close()

    def close(self) -> None:
        """Close those that are free, and end the others under whoever waits for an answer."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
            used = list(self._open)
        for line in free:
            line.close()
        for line in used:
            line.stop()


def _context_of(certificates: str) -> ssl.SSLContext:
    """Return what checks a server; an empty name is what this machine trusts. ``UsageError``."""
    import ssl  # noqa: PLC0415 - as above

    try:
        return ssl.create_default_context(cafile=certificates or None)
    except OSError as error:
        raise UsageError(
            f"the certificates that servers are checked with cannot be read: {certificates} "
            f"({error.strerror or error})",
            hint="Look at ca_bundle in ~/.aws/config, and at AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE.",
        ) from error


def _proxy_of(url: str) -> SplitResult | None:
    if not url:
        return None
    found = urlsplit(url if "//" in url else f"http://{url}")
    if found.scheme not in {"http", ""}:
        raise UsageError(
            f"objects cannot be read through a proxy that is itself asked over {found.scheme}",
            hint="Name it as http:// in HTTPS_PROXY, or the endpoint in NO_PROXY: what goes "
            "through it to AWS is under TLS all the same.",
        )
    return found


def _authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None or proxy.password is None:
        return {}
    text = f"{unquote(proxy.username)}:{unquote(proxy.password)}"
    return {"Proxy-Authorization": f"Basic {b64encode(text.encode()).decode()}"}
