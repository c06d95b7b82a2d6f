"""What a restore asks of AWS, for each trap of its API. Nothing is asked of anybody here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strongroom.aws.records import PARAMETER, SECRET, STACK, Record, plain, record_of
from strongroom.errors import RefusedError, UsageError
from strongroom.restore.awsconfig.parameters import parameter_decision
from strongroom.restore.awsconfig.secrets import secret_decision
from strongroom.restore.awsconfig.stacks import request_of
from strongroom.restore.awsconfig.steps import Decision, Rules

HERE = "eu-west-2"
RULES = Rules(region=HERE, now="2026-11-27T00:00:00Z")
ARN = f"arn:aws:ssm:{HERE}:123456789012:parameter/a"
KEY = f"arn:aws:kms:{HERE}:123456789012:key/1"


def version(value: str = "v", number: int = 1, **more: object) -> dict[str, Any]:
    """Return a version of a parameter."""
    kind = {"Type": "String", "Tier": "Standard", "Labels": [], "DataType": "text"}
    return {**kind, "Value": value, "Version": number, **more}


def parameter(*versions: dict[str, Any], tags: dict[str, str] | None = None) -> Record:
    """Return the record of a parameter, its versions oldest first."""
    *earlier, current = versions
    about = {"ARN": ARN}
    return record_of(
        PARAMETER, "/a", Described=about, Current=current, Earlier=earlier, Tags=tags or {}
    )


def calls(decision: Decision) -> list[str]:
    """Return the names of its requests."""
    return [step.call for step in decision.steps]


def decided(record: Record | None, live: Record | None, rules: Rules = RULES) -> Decision:
    """Decide about a parameter."""
    return parameter_decision(record, live, "/a", rules)


def test_a_new_parameter_gets_its_tags_at_once() -> None:
    """And nothing is overwritten: if there is one by then, AWS refuses."""
    (step,) = decided(parameter(version(), tags={"a": "b", "aws:x": "y"}), None).steps
    assert step.arguments["Tags"] == [{"Key": "a", "Value": "b"}]
    assert "Overwrite" not in step.arguments
    assert "v" not in str(step).split()
    assert "Value" not in repr(step)


def test_one_that_is_there_gets_its_tags_afterwards() -> None:
    """Tags and Overwrite exclude each other."""
    live = parameter(version("other"), tags={"a": "c", "gone": "x"})
    put, add, remove = decided(parameter(version(), tags={"a": "b"}), live).steps
    assert (put.call, put.arguments["Overwrite"]) == ("PutParameter", True)
    assert "Tags" not in put.arguments
    assert add.arguments["Tags"] == [{"Key": "a", "Value": "b"}]
    assert remove.arguments["TagKeys"] == ["gone"]


def test_one_that_is_right_takes_nothing() -> None:
    """The number of a version and when it was made do not count."""
    live = parameter(version("old", 1), version("v", 7, LastModifiedDate="x"), tags={"a": "b"})
    assert decided(parameter(version(), tags={"a": "b"}), live) == Decision([], [])
    assert decided(None, None) == Decision([])
    assert calls(decided(None, live)) == ["DeleteParameter"]


def test_a_type_is_changed_only_where_that_is_allowed() -> None:
    """AWS does it only by deleting, which loses the history."""
    live = parameter(version(Type="StringList"))
    assert "--delete allows that" in decided(parameter(version()), live).refused
    exact = decided(parameter(version()), live, replace(RULES, exact=True))
    assert calls(exact) == ["DeleteParameter", "PutParameter"]
    assert "loses its history" in exact.notes[0]
    assert "Overwrite" not in exact.steps[1].arguments


def test_the_advanced_tier_stays() -> None:
    """There is no way back, so it is no difference either."""
    live = parameter(version(Tier="Advanced"))
    assert decided(parameter(version()), live).steps == []
    changed = decided(parameter(version("w")), live)
    assert changed.steps[0].arguments["Tier"] == "Advanced"
    assert "stays in the advanced tier" in changed.notes[0]
    assert calls(decided(parameter(version(Tier="Advanced")), parameter(version()))) == [
        "PutParameter"
    ]


def test_an_expiration_that_is_over_is_left_out() -> None:
    """AWS would refuse it, and the value is wanted all the same."""

    def policy(when: str) -> dict[str, str]:
        text = f'{{"Type":"Expiration","Version":"1.0","Attributes":{{"Timestamp":"{when}"}}}}'
        return {"PolicyText": text, "PolicyType": "Expiration"}

    over = version(Tier="Advanced", Policies=[policy("2026-11-26T00:00:00Z")])
    decision = decided(parameter(over), None)
    assert "Policies" not in decision.steps[0].arguments
    assert "is over" in decision.notes[0]
    coming = version(Tier="Advanced", Policies=[policy("2026-11-28T00:00:00Z")])
    put = decided(parameter(coming), None).steps[0]
    assert '"2026-11-28T00:00:00Z"' in put.arguments["Policies"]
    assert decided(parameter(coming), parameter(coming)).steps == []
    cleared = decided(parameter(version(Tier="Advanced")), parameter(coming)).steps[0]
    assert cleared.arguments["Policies"] == "[{}]"
    assert decided(parameter(version(Policies=[{"PolicyText": "{'a'"}])), None).refused


def test_a_key_of_another_region_is_not_taken_for_one_here() -> None:
    """A person says which; an alias and the default are of every region."""
    secure = parameter(version(Type="SecureString", KeyId=KEY))
    there = replace(RULES, region="us-west-2")
    assert "--kms-key" in decided(secure, None, there).refused
    mine = decided(secure, None, replace(there, key="alias/mine")).steps[0]
    assert mine.arguments["KeyId"] == "alias/mine"
    assert decided(secure, None).steps[0].arguments["KeyId"] == KEY
    by_id = parameter(version(Type="SecureString", KeyId="1234-5678"))
    assert "--kms-key" in decided(by_id, None, there).refused
    alias = parameter(version(Type="SecureString", KeyId="alias/app"))
    assert decided(alias, None, there).steps[0].arguments["KeyId"] == "alias/app"


def test_labels_lead_to_the_values_that_they_led_to() -> None:
    """Those of earlier versions too; the current one comes last."""
    record = parameter(version("old", 1, Labels=["stable"]), version("new", 2, Labels=["next"]))
    new = decided(record, None)
    assert calls(new) == ["PutParameter", "LabelParameterVersion"] * 2
    assert [one.arguments["Value"] for one in new.steps[::2]] == ["old", "new"]
    moved = parameter(version("old", 1), version("new", 2, Labels=["next", "stable"]))
    assert calls(decided(record, moved)) == ["PutParameter", "LabelParameterVersion"] * 2
    bare = parameter(version("old", 1, Labels=["stable"]), version("new", 2))
    assert calls(decided(record, bare)) == ["LabelParameterVersion"]
    extra = parameter(
        version("old", 1, Labels=["stable"]), version("new", 2, Labels=["next", "mine"])
    )
    assert calls(decided(record, extra)) == []
    assert calls(decided(record, extra, replace(RULES, exact=True))) == ["UnlabelParameterVersion"]


# -- secrets


def secret(stages: dict[str, str | bytes], **described: object) -> Record:
    """Return the record of a secret with these values."""
    arn = f"arn:aws:secretsmanager:{HERE}:123456789012:secret:a-x"
    versions = [
        {
            "VersionStages": [stage],
            "SecretBinary" if isinstance(value, bytes) else "SecretString": plain(value),
        }
        for stage, value in stages.items()
    ]
    about = {"ARN": arn, **described}
    return record_of(SECRET, "a", Described=about, Tags={}, ResourcePolicy="", Versions=versions)


def of_secret(record: Record | None, live: Record | None, rules: Rules = RULES) -> Decision:
    """Decide about a secret."""
    return secret_decision(record, live, "a", rules)


BOTH: dict[str, str | bytes] = {"AWSCURRENT": b"now", "AWSPREVIOUS": "then"}


def test_a_new_secret_gets_both_stages() -> None:
    """It begins with the earlier value; the next one makes that the previous."""
    create, put = of_secret(secret(BOTH, KmsKeyId=KEY), None).steps
    assert (create.call, create.arguments["SecretString"]) == ("CreateSecret", "then")
    assert create.arguments["KmsKeyId"] == KEY
    assert (put.call, put.arguments["SecretBinary"]) == ("PutSecretValue", b"now")
    assert "then" not in f"{create}{create!r}{put}{put!r}"


def test_only_what_differs_is_put() -> None:
    """Values count, and not the ids of versions."""
    assert of_secret(secret(BOTH), secret(BOTH)).steps == []
    rotated = secret({"AWSCURRENT": "new", "AWSPREVIOUS": b"now"})
    assert calls(of_secret(secret(BOTH), rotated)) == ["PutSecretValue"] * 2
    back = secret({"AWSCURRENT": "then"})
    assert calls(of_secret(secret(BOTH), back)) == ["PutSecretValue"]
    staged = of_secret(secret({**BOTH, "blue": "x"}), secret(BOTH)).steps
    assert staged[0].arguments["VersionStages"] == ["blue"]


def test_a_secret_that_is_being_deleted_is_had_back() -> None:
    """Its name is taken until then."""
    deleted = secret({}, DeletedDate="2026-12-04T00:00:00Z")
    assert calls(of_secret(secret(BOTH), deleted))[0] == "RestoreSecret"
    assert of_secret(deleted, deleted).steps == []
    (gone,) = of_secret(deleted, secret(BOTH)).steps
    assert (gone.call, gone.arguments["RecoveryWindowInDays"]) == ("DeleteSecret", 30)
    assert "ForceDeleteWithoutRecovery" not in gone.arguments


def test_what_others_own_is_refused() -> None:
    """A replica, and what a service makes for itself."""
    assert "belongs to rds" in of_secret(secret(BOTH, OwningService="rds"), None).refused
    assert "replica" in of_secret(secret(BOTH, PrimaryRegion="us-east-1"), None).refused
    assert of_secret(secret(BOTH, PrimaryRegion=HERE), None).refused == ""


def test_rotation_and_replicas_stay_in_their_region() -> None:
    """What rotates it is not elsewhere."""
    rotated = secret(
        BOTH,
        RotationEnabled=True,
        RotationLambdaARN="arn:aws:lambda:x",
        RotationRules={"AutomaticallyAfterDays": 30},
        ReplicationStatus=[{"Region": "us-west-2", "KmsKeyId": "alias/x", "Status": "InSync"}],
    )
    rotate, replicate = of_secret(rotated, secret(BOTH)).steps
    assert rotate.arguments["RotateImmediately"] is False
    assert replicate.arguments["AddReplicaRegions"] == [
        {"Region": "us-west-2", "KmsKeyId": "alias/x"}
    ]
    elsewhere = of_secret(rotated, None, replace(RULES, region="eu-west-1"))
    assert calls(elsewhere) == ["CreateSecret", "PutSecretValue"]
    assert len(elsewhere.notes) == 2
    assert calls(of_secret(secret(BOTH), rotated)) == ["CancelRotateSecret"]


def test_policy_description_key_and_tags() -> None:
    """Each is set, and taken away, by its own request."""
    wanted = secret(BOTH, Description="d") | {"ResourcePolicy": '{"a": 1}', "Tags": {"k": "v"}}
    live = secret(BOTH, KmsKeyId=KEY) | {"Tags": {"old": "x"}}
    decision = of_secret(wanted, live)
    assert calls(decision) == [
        "UpdateSecret",
        "TagResource",
        "UntagResource",
        "PutResourcePolicy",
    ]
    assert decision.steps[0].arguments["KmsKeyId"] == "alias/aws/secretsmanager"
    assert calls(of_secret(live, wanted))[-1] == "DeleteResourcePolicy"
    same = wanted | {"ResourcePolicy": '{\n"a": 1}'}
    assert of_secret(same, wanted).steps == []


# -- stacks


def stack(**described: object) -> Record:
    """Return the record of a stack with a parameter that nobody can read back."""
    values = {"Size": {"ParameterValue": "small"}, "Secret": {"ParameterValue": "****"}}
    about = {"Capabilities": ["CAPABILITY_IAM"], **described}
    return record_of(STACK, "s", Described=about, Parameters=values, Tags={"a": "b"})


def test_a_masked_parameter_is_kept_or_asked_for() -> None:
    """Asterisks are never sent as a value."""
    there = {"Parameters": [{"ParameterKey": "Secret"}, {"ParameterKey": "Size"}]}
    update = request_of(stack(), b"{}", "s", there, {})
    assert update["Parameters"] == [
        {"ParameterKey": "Secret", "UsePreviousValue": True},
        {"ParameterKey": "Size", "ParameterValue": "small"},
    ]
    assert update["Capabilities"] == ["CAPABILITY_IAM"]
    with pytest.raises(UsageError, match="takes Secret, whose values AWS never tells"):
        request_of(stack(), b"{}", "s", None, {})
    given = request_of(stack(), b"{}", "s", None, {"Secret": "x", "Size": "large"})
    assert [one["ParameterValue"] for one in given["Parameters"]] == ["x", "large"]
    with pytest.raises(UsageError, match="no parameter Siz"):
        request_of(stack(), b"{}", "s", there, {"Siz": "x"})


def test_what_no_change_set_can_make_is_refused() -> None:
    """A stack within another one, and a template that is too large for a request."""
    with pytest.raises(RefusedError, match="belongs to another one"):
        request_of(stack(ParentId="p", RootId="r"), b"{}", "s", None, {"Secret": "x"})
    with pytest.raises(RefusedError, match="only from a bucket"):
        request_of(stack(), b"x" * 51_201, "s", None, {"Secret": "x"})
