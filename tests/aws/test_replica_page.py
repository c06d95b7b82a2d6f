"""``docs/replicas.md``: its rule for replication is one that AWS takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import botocore.session
import pytest
from botocore.validate import ParamValidator

from tests.support.aws import AwsServer
from tests.support.buckets import make_bucket

pytestmark = pytest.mark.spec("D8")

PAGE: Final = Path(__file__).parents[2] / "docs" / "replicas.md"


def rules() -> dict[str, Any]:
    """Return the configuration that the page shows."""
    (text,) = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_rule_is_of_the_shape_that_s3_documents() -> None:
    """Every key and type, as botocore's model of the API has them, with nothing else beside."""
    model = botocore.session.get_session().get_service_model("s3")
    shape = model.operation_model("PutBucketReplication").input_shape
    given = {"Bucket": "my-backups", "ReplicationConfiguration": rules()}
    report = ParamValidator().validate(given, shape)
    assert not report.has_errors(), report.generate_report()
    known = shape.members["ReplicationConfiguration"].members["Rules"].member.members
    assert rules()["Rules"][0].keys() <= known.keys()


def test_the_rule_has_what_aws_refuses_a_rule_without() -> None:
    """With a filter: what becomes of delete markers, and a priority; never an archive class."""
    for rule in rules()["Rules"]:
        assert {"Filter", "Priority", "Status", "DeleteMarkerReplication"} <= rule.keys()
        destination = rule["Destination"]
        assert destination["StorageClass"] in {"STANDARD", "STANDARD_IA", "GLACIER_IR"}
        assert ("ReplicationTime" in destination) is ("Metrics" in destination)


def test_a_server_takes_it(aws: AwsServer) -> None:
    """Between two buckets with versions, it is what is there afterwards."""
    s3 = aws.client("s3")
    for name in ("my-backups", "my-backups-replica"):
        make_bucket(s3, name, versioned=True)
    s3.put_bucket_replication(Bucket="my-backups", ReplicationConfiguration=rules())
    found = s3.get_bucket_replication(Bucket="my-backups")["ReplicationConfiguration"]
    assert found["Rules"][0]["Destination"]["Bucket"] == "arn:aws:s3:::my-backups-replica"
