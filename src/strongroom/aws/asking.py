"""Requests to one service of AWS: by the names of its API, page after page, and patient."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from strongroom.aws.account import Account
from strongroom.aws.errors import AwsError, refusals
from strongroom.errors import SourceError

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
_THROTTLED: Final = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "TooManyUpdates",
        "RequestLimitExceeded",
    }
)
_PAUSES: Final = (2.0, 4.0, 8.0, 16.0, 32.0)  # seconds, after botocore's own attempts
_ABOUT_ACCESS: Final = frozenset({"AccessDeniedException", "AccessDenied"})
_MOST_PAGES: Final = 1_000_000

Found = dict[str, Any]


class HasClients(Protocol):
    """Where clients of services come from."""

    account: Account

    def client(self, service: str, region: str = "") -> Any:  # noqa: ANN401 - boto3 makes its types when it runs
        """Return a client of a service in a region; empty is the account's."""
        ...


class Service:
    """One service in one region; used by several threads."""

    def __init__(
        self, clients: HasClients, name: str, region: str, sleep: Callable[[float], None]
    ) -> None:
        """``name`` as boto3 has it; ``sleep`` waits so many seconds."""
        self._clients = clients
        self._sleep = sleep
        self.name = name
        self.region = region

    @property
    def where(self) -> str:
        """The account as a person would look for it."""
        shown = str(self._clients.account)
        return f"{shown}, region {self.region}" if self.region else shown

    def pause(self, seconds: float) -> None:
        """Wait, until AWS shows everywhere what it has accepted."""
        self._sleep(seconds)

    def ask(
        self,
        call: str,
        about: str,
        *,
        secret: bool = False,
        **arguments: Any,  # noqa: ANN401 - what the request takes
    ) -> Found:
        """Make a request, such as ``GetParameter``, about something; what was answered.

        ``secret``: an argument is one, so that nothing of what AWS says about it is repeated.
        ``AwsError`` for a no, ``SourceError`` where nobody answers.
        """
        for pause in _PAUSES:
            try:
                return self._once(call, about, arguments, secret=secret)
            except AwsError as error:
                if error.said not in _THROTTLED:
                    raise
            self._sleep(pause)
        return self._once(call, about, arguments, secret=secret)

    def _once(self, call: str, about: str, arguments: Found, *, secret: bool) -> Found:
        doing = f"{self.name}:{call} of {about}" if about else f"{self.name}:{call}"
        try:
            with refusals(doing, self.where):
                client = self._clients.client(self.name, self.region)
                answer: Found = getattr(client, _WORD.sub("_", call).lower())(**arguments)
        except AwsError as error:
            if not secret or error.said in _ABOUT_ACCESS:
                raise
            text = f"{doing} failed ({self.where}): {error.said}"
            said, hint = error.said, error.hint
        except SourceError:
            raise
        except Exception as error:
            if not secret:
                raise
            text = f"{doing} failed ({self.where}): it is no request that AWS takes"
            said, hint = type(error).__name__, ""
        else:
            answer.pop("ResponseMetadata", None)
            return answer
        # outside of the handlers, so that the error that quotes the value is not part of this one
        raise AwsError(text, said=said, hint=hint)

    def pages(
        self,
        call: str,
        key: str,
        about: str = "",
        **arguments: Any,  # noqa: ANN401 - as above
    ) -> Iterator[Found]:
        """Yield what stands below ``key`` in every page; a page may be empty and not the last."""
        more: Found = {}
        before = ""
        for _ in range(_MOST_PAGES):
            answer = self.ask(call, about, **arguments, **more)
            yield from answer.get(key) or ()
            token = answer.get("NextToken") or ""
            if not token:
                return
            if token == before:
                break
            before, more = token, {"NextToken": token}
        raise SourceError(f"{self.name}:{call} has no end: the same page comes again")
