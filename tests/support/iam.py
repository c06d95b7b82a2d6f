"""A small evaluator of IAM policies: what the policies of the program say, and no more.

See the IAM User Guide, "Policy evaluation logic": what no statement allows is denied. An
operator that is not known here fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_TOKEN: Final = re.compile(r"\$\{([*?$])\}|([*?])")


@dataclass(frozen=True)
class Call:
    """A question to IAM: an action, the resource, and the condition keys that there are."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


def allows(document: Mapping[str, Any], call: Call) -> bool:
    """Whether a policy allows a call."""
    assert document["Version"] == "2012-10-17"
    return any(_fits(statement, call) for statement in document["Statement"])


def _fits(statement: Mapping[str, Any], call: Call) -> bool:
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert statement["Effect"] == "Allow"
    assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
    return (
        any(like(one.lower(), call.action.lower()) for one in statement["Action"])
        and any(like(one, call.resource) for one in statement["Resource"])
        and all(
            _holds(operator, key, wanted, call.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(
    operator: str, key: str, wanted: str | Sequence[str], context: Mapping[str, str]
) -> bool:
    values = [wanted] if isinstance(wanted, str) else list(wanted)
    given = context.get(key)
    if operator == "Null":
        return (given is None) == (values == ["true"])
    if given is None:
        return operator.endswith("IfExists")
    name = operator.removesuffix("IfExists")
    assert name in {"StringEquals", "StringLike"}, operator
    if name == "StringEquals":
        return given in values
    return any(like(one, given) for one in values)


def like(pattern: str, text: str) -> bool:
    """Whether a pattern of IAM fits; ``${*}`` is a star itself."""
    made, at = "", 0
    for match in _TOKEN.finditer(pattern):
        made += re.escape(pattern[at : match.start()])
        made += re.escape(match[1]) if match[1] else {"*": ".*", "?": "."}[match[2]]
        at = match.end()
    return re.fullmatch(made + re.escape(pattern[at:]), text, re.DOTALL) is not None
