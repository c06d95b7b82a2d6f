"""GET requests to one bucket: signed, sent at once, and answered when somebody waits for them.

Whoever asks for several before waiting for the first has them all on their way, each on a line of
its own. What is broken, or refused for now, is asked for again by whoever waits.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

from strongroom.aws.buckets import Bucket, Who
from strongroom.aws.errors import AwsError, hint_of
from strongroom.aws.lines import Lines, Server
from strongroom.aws.listxml import PageError, read_page
from strongroom.aws.signing import Signer, quoted
from strongroom.aws.wire import Head, Line, LineError, header_lines, request_of
from strongroom.clock import Clock
from strongroom.errors import SourceError

ATTEMPTS: Final = 6
_FIRST_WAIT: Final = 0.5  # seconds, and double each time; of it between half and all is waited
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_AGAIN_IF: Final = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout"})
_GOOD: Final = frozenset({200, 206})
_MOST_SAID: Final = 64 << 10  # bytes of an answer that says no
# not signed: what stands in between may change them
_HEADERS: Final = {"accept-encoding": "identity", "user-agent": "strongroom"}


def _any_fits(_head: Head) -> str:
    return ""


class Asked(NamedTuple):
    """What is asked for: an object, or an answer about it.

    ``path`` is quoted, and without the bucket; ``query`` is ``name=value`` in order, quoted too.
    ``misfit`` says in what a yes is no answer to it, as one to somebody else is; empty if it is.
    """

    doing: str
    path: str
    query: str
    headers: Mapping[str, str]
    misfit: Callable[[Head], str] = _any_fits


class Answer(NamedTuple):
    """A whole answer."""

    head: Head
    data: bytes


class Place(NamedTuple):
    """Where the bucket is, and as whom it is asked.

    ``path`` stands before that of a request, ``before`` before that in what is sent; ``unsigned``
    is headers that every request has.
    """

    bucket: Bucket
    who: Who
    lines: Lines
    signer: Signer
    path: str
    before: str
    unsigned: str


class Getter:
    """Asks for what is in a bucket; any thread may."""

    def __init__(self, bucket: Bucket, clock: Clock, server: Server | None = None) -> None:
        """``server``: other than the one that the bucket names, such as with other time limits."""
        self.clock = clock
        self.place = _place_of(bucket, server or bucket.server)
        self._closed = threading.Event()

    def begin(self, asked: Asked) -> Request:
        """Send a request, and return what waits for its answer."""
        return Request(self, asked)

    def send(self, asked: Asked, line: Line | None) -> Line:
        """Send a request on a line, or on a new one; a line that was given is closed by an error.

        OSError, ``SourceError`` if it is closed or nobody can tell who we are.
        """
        try:
            request = self._request(asked)
            line = line or self.place.lines.opened()
            if self._closed.is_set():  # since it was looked at
                line.stop()
            line.send(request)
        except BaseException:
            if line is not None:
                line.close()
            raise
        return line

    def _request(self, asked: Asked) -> bytes:
        place = self.place
        if self._closed.is_set():
            raise SourceError(f"{asked.doing} was given up ({place.bucket})")
        path = place.path + asked.path
        headers = place.signer.signed(
            "GET",
            path,
            asked.query,
            {"host": place.lines.host, **asked.headers},
            place.who.now(),
            self.clock.now_ns(),
        )
        target = f"{place.before}{path}?{asked.query}" if asked.query else place.before + path
        return request_of(target, headers, place.unsigned)

    def close(self) -> None:
        """Ask no more, also for what somebody waits for."""
        self._closed.set()
        self.place.lines.close()


class Request:
    """One request that was sent; used by one thread. It is answered whole, or opened and read."""

    def __init__(self, getter: Getter, asked: Asked) -> None:
        self._getter = getter
        self._asked = asked
        self._lines = getter.place.lines
        self._line: Line | None = None
        self._broken = ""
        self._answered = True  # the last time, to the end
        self._used = False  # the line, by a request before this one
        self._send()

    def once(self, most: int) -> Answer:
        """Wait for the whole answer, a yes or a no, and ask for no other; OSError."""
        head = self._first_head()
        if head is None or self._line is None:
            raise LineError(self._broken)
        try:
            data = self._line.whole(most)
        except OSError:
            self.close()
            raise
        self._free_line()
        return Answer(head, data)

    def whole(self, most: int) -> Answer:
        """Wait for the whole answer, or the first ``most`` bytes.

        After some tries ``AwsError`` for a no, ``SourceError`` if nobody answers, OSError if an
        answer always breaks, or is always one to something else.
        """
        for attempt in range(ATTEMPTS):
            self._pause(attempt)
            head = self._head(attempt)
            if head is None or (line := self._line) is None:
                continue
            try:
                data = line.whole(most)
            except OSError as error:
                self._drop(str(error))
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            self._free_line()
            return Answer(head, data)
        raise self._gave_up()

    def opened(self) -> Head:
        """Wait for an answer of which ``read`` gives the body; errors as of ``whole``."""
        for attempt in range(ATTEMPTS):
            self._pause(attempt)
            head = self._head(attempt)
            if head is not None:
                return head
        raise self._gave_up()

    def read(self, most: int) -> bytes:
        """Return some bytes of the body, none at its end; OSError if it breaks before."""
        if self._line is None:
            return b""
        data = self._line.read(most)
        if not data:
            self._free_line()
        return data

    def close(self) -> None:
        """Want no more of it."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close."""
        self.close()

    def _pause(self, attempt: int) -> None:
        if not attempt:
            return
        self._getter.clock.sleep(wait_before(attempt, self._asked.path))
        self._send()

    def _send(self) -> None:
        """Send on a free line; where the last one broke, on a new one, as others may have too."""
        line = self._lines.free() if self._answered else None
        self._used = line is not None
        self._try_to_send(line)

    def _head(self, attempt: int) -> Head | None:
        """Return the head of an answer that is a yes; None: ask again; ``AwsError`` for a no.

        ``LineError`` if even the last is one to something else.
        """
        head = self._first_head()
        line = self._line
        if head is None or line is None:
            return head
        if head.status in _GOOD:
            wrong = self._asked.misfit(head)
            if not wrong:
                return head
            self._drop(wrong)
            if attempt == ATTEMPTS - 1:
                raise LineError(wrong)
            return None
        try:
            data = line.whole(_MOST_SAID)
        except OSError as error:
            self._drop(str(error))
            return None
        self._free_line()
        self._answered = True
        no = _no(head, data)
        if is_for_now(head.status, no.said) and attempt < ATTEMPTS - 1:
            return None
        where = self._getter.place.bucket
        raise AwsError(
            f"{self._asked.doing} failed ({where}): {no.said} ({head.status}): {no.message}",
            said=no.said,
            hint=hint_of(no.said, head.headers.get("x-amz-request-id", "")),
        )

    def _first_head(self) -> Head | None:
        """Wait for what comes first; a line that was used may have ended since, which is no try."""
        if self._line is not None:
            try:
                return self._line.head()
            except OSError as error:
                self._drop(str(error))
        if not self._used:
            return None
        self._used = False
        self._try_to_send(None)
        return self._first_head()

    def _try_to_send(self, line: Line | None) -> None:
        try:
            self._line = self._getter.send(self._asked, line)
        except OSError as error:
            self._drop(str(error))

    def _free_line(self) -> None:
        if self._line is not None:
            self._lines.give_back(self._line)
            self._line = None

    def _drop(self, why: str) -> None:
        self._broken = why
        self._answered = False
        self.close()

    def _gave_up(self) -> SourceError:
        return SourceError(
            f"{self._asked.doing} failed ({self._getter.place.bucket}) {ATTEMPTS} times, at last: "
            f"{self._broken}",
            hint="Look at the network and the endpoint, then run it again.",
        )


class _No(NamedTuple):
    """Why S3 says no, in its words."""

    said: str
    message: str


def wait_before(attempt: int, what: str) -> float:
    """Return how many seconds to wait before another try, spread by what is asked for."""
    spread = zlib.crc32(f"{attempt}{what}".encode()) / (1 << 33)
    return float(_FIRST_WAIT * 2 ** (attempt - 1) * (0.5 + spread))


def is_for_now(status: int, said: str) -> bool:
    """Whether a no may be a yes later."""
    return status in _AGAIN or said in _AGAIN_IF


def _no(head: Head, data: bytes) -> _No:
    try:
        page = read_page(data)
    except PageError:
        page = None
    if page is None or not page.error:
        return _No(str(head.status), "no reason was given")
    return _No(page.error, page.message)


def _place_of(bucket: Bucket, server: Server) -> Place:
    before = urlsplit(server.endpoint).path.rstrip("/")
    path = f"{before}/{quoted(bucket.name.encode())}"
    lines = Lines(server)
    unsigned = header_lines({**_HEADERS, **lines.headers()})
    signer = Signer(bucket.region)
    return Place(bucket, bucket.who(), lines, signer, path, lines.before_path, unsigned)
