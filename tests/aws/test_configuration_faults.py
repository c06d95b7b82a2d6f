"""What AWS does beside answering: empty pages, throttling, refusals, and errors that quote."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from strongroom.aws import ssm
from strongroom.aws.account import Account
from strongroom.aws.asking import Service
from strongroom.aws.errors import AwsError
from strongroom.aws.patterns import Patterns
from strongroom.clock import ManualClock
from strongroom.errors import SourceError
from strongroom.model.source import Problem
from strongroom.sources.awsconfig.source import ConfigurationOptions, ConfigurationSource

SECRET = "canary-0xF6"


def refusal(code: str, message: str = "no") -> ClientError:
    """Return an error as botocore raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "Asked")


@dataclass
class Scripted:
    """Clients whose answers are given beforehand: by method, what is returned, called or raised."""

    answers: dict[str, Any]
    account: Account = field(default_factory=lambda: Account(region="eu-west-2"))
    asked: list[str] = field(default_factory=list)

    def client(self, service: str, region: str = "") -> object:
        """See ``HasClients``."""
        del service, region
        return SimpleNamespace(**{name: self._method(name) for name in self.answers})

    def _method(self, name: str) -> Callable[..., dict[str, Any]]:
        def method(**given: object) -> dict[str, Any]:
            self.asked.append(name)
            answer = self.answers[name]
            if isinstance(answer, list):
                answer = answer.pop(0)
            if callable(answer):
                answer = answer(**given)
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

        return method


def service_of(clients: Scripted, slept: list[float] | None = None) -> Service:
    """Return the parameter store of scripted clients."""
    return Service(clients, "ssm", "", (slept if slept is not None else []).append)


def described(*names: str) -> list[dict[str, str]]:
    """Return what is listed of parameters."""
    return [{"Name": name, "Type": "String"} for name in names]


def history(**given: object) -> dict[str, Any]:
    """Answer with one version."""
    one = {"Name": given["Name"], "Type": "String", "Value": SECRET, "Version": 1}
    return {"Parameters": [one]}


GOOD: dict[str, Any] = {
    "describe_parameters": {"Parameters": described("/a", "/b")},
    "get_parameter_history": history,
    "list_tags_for_resource": {"TagList": []},
}


def saved(
    answers: dict[str, Any], options: ConfigurationOptions | None = None
) -> tuple[list[bytes], list[Problem]]:
    """Walk a source; the paths that it has, and the problems."""
    problems: list[Problem] = []
    source = ConfigurationSource(
        "aws",
        Scripted(answers),
        options or ConfigurationOptions(parameters=["/"]),
        ManualClock(),
        lambda _: None,
    )
    paths = [item.path for items in source.walk(problems.append) for item in items]
    return paths, problems


def test_an_empty_page_is_not_the_last() -> None:
    """As long as there is a token, there is more."""
    pages: Sequence[dict[str, Any]] = [
        {"Parameters": [], "NextToken": "1"},
        {"Parameters": described("/a"), "NextToken": "2"},
        {"NextToken": "3"},
        {"Parameters": described("/b")},
    ]
    found = ssm.listed(service_of(Scripted({"describe_parameters": list(pages)})), Patterns(["/"]))
    assert list(found) == ["/a", "/b"]


def test_a_listing_without_an_end_is_an_error() -> None:
    """The same page again and again is no answer."""
    clients = Scripted({"describe_parameters": {"Parameters": [], "NextToken": "1"}})
    with pytest.raises(SourceError, match="has no end"):
        ssm.listed(service_of(clients), Patterns(["/"]))


def test_throttling_is_waited_for() -> None:
    """Longer each time; whoever is throttled for ever ends with an error."""
    slept: list[float] = []
    busy = refusal("ThrottlingException")
    clients = Scripted({"get_parameter": [busy, busy, {"Parameter": 1}]})
    assert service_of(clients, slept).ask("GetParameter", "/a") == {"Parameter": 1}
    assert slept == [2.0, 4.0]
    with pytest.raises(AwsError, match="ThrottlingException"):
        service_of(Scripted({"get_parameter": busy})).ask("GetParameter", "/a")


def test_one_that_may_not_be_read_is_a_problem() -> None:
    """The others are saved; the history alone makes it incomplete."""

    def denied(**given: object) -> dict[str, Any]:
        if given["Name"] == "/a":
            raise refusal("AccessDeniedException")
        return history(**given)

    answers = GOOD | {"get_parameter_history": denied, "get_parameter": denied}
    paths, problems = saved(answers)
    assert paths == [b"aws/aws/ssm/b.json"]
    assert [(one.path, one.missing) for one in problems] == [(b"aws/aws/ssm/a.json", True)]
    value = {"Parameter": {"Name": "/a", "Type": "String", "Value": "v", "Version": 4}}
    paths, problems = saved(answers | {"get_parameter": value})
    assert len(paths) == 2
    assert [(one.path, one.missing) for one in problems] == [(b"aws/aws/ssm/a.json", False)]
    assert "its history is missing" in problems[0].cause


def test_a_service_that_may_not_be_listed_is_a_problem() -> None:
    """Of several; if it is the only one, nothing is saved at all."""
    denied = {"list_secrets": refusal("AccessDeniedException")}
    both = ConfigurationOptions(parameters=["/"], secrets=["*"])
    paths, problems = saved(GOOD | denied, both)
    assert len(paths) == 2
    assert [(one.path, one.missing) for one in problems] == [(b"aws/aws/secretsmanager", True)]
    with pytest.raises(AwsError, match="AccessDenied"):
        saved(denied, ConfigurationOptions(secrets=["*"]))


def test_credentials_that_end_meanwhile_end_it() -> None:
    """They are no problem of one parameter."""
    answers = GOOD | {"get_parameter_history": refusal("ExpiredTokenException")}
    with pytest.raises(AwsError) as caught:
        saved(answers)
    assert caught.value.exit_code == 14
    assert "renew them" in caught.value.hint


@pytest.mark.parametrize(
    "error",
    [
        refusal("ParameterPatternMismatchException", f"Parameter value, {SECRET}, does not match"),
        refusal("ValidationException", f"Value '{SECRET}' at 'value' failed"),
        ParamValidationError(report=f"Invalid type for parameter Value, value: {SECRET}"),
    ],
    ids=["pattern", "validation", "parameter"],
)
def test_an_error_that_quotes_a_value_is_not_repeated(error: Exception) -> None:
    """Neither in its message nor in the traceback of a crash report or of --debug."""
    service = service_of(Scripted({"put_parameter": error}))
    with pytest.raises(AwsError) as caught:
        service.ask("PutParameter", "/a", secret=True, Value=SECRET)
    assert "ssm:PutParameter of /a failed" in caught.value.message
    assert SECRET not in "".join(traceback.format_exception(caught.value))
