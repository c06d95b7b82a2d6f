"""What is read of an instance is what a restore may be told, and what differs is seen. Pure."""

from __future__ import annotations

from typing import Any, Final

import pytest

from strongroom.aws.rds.pointers import PointerState
from strongroom.aws.rds.record import Record, decoded, lasting
from strongroom.aws.rds.settings import (
    Difference,
    changes,
    differences,
    instance_settings,
    request_of,
)
from strongroom.aws.rds.window import Window, chosen
from strongroom.clock import as_utc
from strongroom.errors import DamageError, NotFoundError, RefusedError
from strongroom.operations.rds.plan import new_identifier, refuse_identifier, refuse_kind, swap_of
from strongroom.operations.rds.status import findings
from tests.support.rds_model import EARLIEST, LATEST, Region
from tests.support.rds_sources import full_cluster, full_instance

pytestmark = pytest.mark.spec("C8")

SECOND: Final = 1_000_000_000
HOST: Final = "shop-db.c1a2b3.eu-west-2.rds.amazonaws.com"
MINUTE: Final = 60 * SECOND


def record_of(document: dict[str, Any], kind: str = "instance") -> Record:
    """Return a record of what is described."""
    return Record(kind=kind, identifier="shop-db", document=lasting(document))


@pytest.mark.parametrize(
    ("kind", "size", "said"),
    [
        ("gp2", 1000, {}),
        ("gp3", 399, {}),
        ("gp3", 400, {"Iops": 12000, "StorageThroughput": 600}),
        ("io2", 100, {"Iops": 12000}),
    ],
)
def test_storage_is_told_what_it_may_be_told(kind: str, size: int, said: dict[str, int]) -> None:
    """AWS refuses to be told IOPS and throughput of volumes that all have the same."""
    document = full_instance(Region(), StorageType=kind, AllocatedStorage=size)
    found = instance_settings(document)
    assert {key: found[key] for key in ("Iops", "StorageThroughput") if key in found} == said


def test_the_request_has_tags_of_people_and_our_own() -> None:
    """What the request does not take is left out, and AWS's own tags cannot be given."""
    said = request_of(instance_settings(full_instance(Region())), {"MultiAZ", "Port"}, "id-1")
    assert said == {
        "MultiAZ": True,
        "Port": 6432,
        "Tags": [
            {"Key": "strongroom:recovery", "Value": "id-1"},
            {"Key": "team", "Value": "shop"},
        ],
    }


def test_each_setting_that_differs_is_found() -> None:
    """Changing any one of them, or losing it, is a difference of just that name."""
    wanted = instance_settings(full_instance(Region()))
    assert wanted.pop("AutoMinorVersionUpgrade") is False  # what is off need not be said
    for name in wanted:
        without = {key: value for key, value in wanted.items() if key != name}
        assert differences(wanted, without) == [Difference(name, wanted[name], None)], name
    assert differences(wanted, dict(wanted)) == []


def test_what_is_off_need_not_be_said() -> None:
    """An answer that leaves out what is off is no difference; one that has it on is."""
    assert differences({"MultiAZ": False, "MonitoringInterval": 0}, {}) == []
    assert differences({"MultiAZ": False}, {"MultiAZ": True}) == [
        Difference("MultiAZ", wanted=False, found=True)
    ]


def test_what_belongs_together_is_changed_together() -> None:
    """A role without its interval would be refused, logs are switched one by one."""
    takes = {"MonitoringInterval", "MonitoringRoleArn", "DBPortNumber"}
    wanted = {
        "MonitoringInterval": 15,
        "MonitoringRoleArn": "r",
        "Port": 6432,
        "EnableCloudwatchLogsExports": ["a", "b"],
    }
    found = {"MonitoringRoleArn": "r", "Port": 5432, "EnableCloudwatchLogsExports": ["b", "c"]}
    assert changes(wanted, found, takes) == {
        "MonitoringInterval": 15,
        "MonitoringRoleArn": "r",
        "DBPortNumber": 6432,
        "CloudwatchLogsExportConfiguration": {"EnableLogTypes": ["a"], "DisableLogTypes": ["c"]},
    }


def test_a_record_comes_back_as_it_was_and_holds_nothing_that_passes() -> None:
    """What changes every minute would make each backup another one."""
    record = record_of(full_instance(Region()))
    data = record.encoded()
    assert b"LatestRestorableTime" not in data
    assert decoded(data, "x") == record
    for broken in (b"{}", b"[", data.replace(b'"format": 1', b'"format": 2')):
        with pytest.raises(DamageError):
            decoded(broken, "x")


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        (HOST, "new.host"),
        (HOST.upper(), "new.host"),
        (f"postgres://u@{HOST}:5432/app", "postgres://u@new.host:5432/app"),
        (f"{HOST},other", "new.host,other"),
    ],
)
def test_a_pointer_names_the_source_and_only_the_host_changes(value: str, becomes: str) -> None:
    """Whatever stands around the host stays."""
    swap = swap_of("ssm", "/a", "", PointerState(value), {"writer": HOST})
    assert swap.new({"writer": "new.host"}) == becomes


@pytest.mark.parametrize("value", ["elsewhere", f"my-{HOST}", f"{HOST}.cn", f"x.{HOST}", ""])
def test_a_pointer_that_names_something_else_is_refused(value: str) -> None:
    """A longer name that ends or begins like the host is another host."""
    with pytest.raises(RefusedError, match="does not name the source"):
        swap_of("ssm", "/a", "", PointerState(value), {"writer": HOST})


def test_the_backups_that_hold_the_moment_are_chosen() -> None:
    """Those of an earlier instance too; what none holds is refused with what can be reached."""
    live, gone = Window("db-2", True, 100, 200), Window("db-1", False, 10, 90)  # noqa: FBT003
    assert chosen([live, gone], 100, "x", []) == live
    assert chosen([live, gone], 200, "x", []) == live
    assert chosen([live, gone], None, "x", []) == live
    assert chosen([live, gone], 50, "x", []) == gone
    with pytest.raises(NotFoundError, match="cannot be reached") as caught:
        chosen([live, gone], 95, "x", ["from A to B"])
    assert "from A to B" in caught.value.hint
    with pytest.raises(NotFoundError, match="no automated backups"):
        chosen([], None, "x", [])


def test_names_of_new_instances() -> None:
    """They say when, stay short enough for what is added, and do not grow with each recovery."""
    now_ns = 1_795_000_000 * SECOND
    first = new_identifier("shop-db", now_ns)
    assert first == f"shop-db-r{as_utc(now_ns):%Y%m%d-%H%M%S}"
    assert new_identifier(first, now_ns + SECOND).startswith("shop-db-r2026")
    longest = new_identifier("a" * 63, now_ns)
    refuse_identifier(f"{longest}-99")
    for wrong in ("Shop", "1shop", "shop--db", "shop-", "", "a" * 64):
        with pytest.raises(RefusedError):
            refuse_identifier(wrong)


def test_what_cannot_be_recovered_whole_is_refused() -> None:
    """An instance of a cluster by itself, and clusters that are none of Aurora's."""
    region = Region()
    full_cluster(region)
    with pytest.raises(RefusedError, match="cluster shop"):
        refuse_kind(record_of(region.instances["shop-a"]))
    region.clusters["shop"]["Engine"] = "postgres"
    with pytest.raises(RefusedError, match="Multi-AZ"):
        refuse_kind(record_of(region.clusters["shop"], "cluster"))


def _texts(document: dict[str, Any], windows: list[Window], now_ns: int) -> dict[str, bool]:
    found = findings(record_of(document), windows, [], [], now_ns)
    return {one.text: one.alert for one in found}


def test_what_would_hurt_is_found() -> None:
    """Each thing by itself; what makes recoveries impossible is an alert."""
    now_ns = int(LATEST.timestamp()) * SECOND
    window = Window("db-1", True, int(EARLIEST.timestamp()) * SECOND, now_ns)  # noqa: FBT003
    good = full_instance(Region(), PubliclyAccessible=False)
    good["DBInstanceAutomatedBackupsReplications"] = [{"DBInstanceAutomatedBackupsArn": "a"}]
    quiet = _texts(good, [window], now_ns)
    assert all("snapshot" in text for text in quiet)
    assert not any(quiet.values())
    for change, said, alert in (
        ({"BackupRetentionPeriod": 0}, "retention 0", True),
        ({"BackupRetentionPeriod": 3}, "3 day", False),
        ({"DeletionProtection": False}, "deletion protection", False),
        ({"StorageEncrypted": False}, "not encrypted", False),
        ({"PubliclyAccessible": True}, "internet", False),
        ({"MultiAZ": False}, "one zone", False),
        ({"PendingModifiedValues": {"Port": 1}}, "wait for the maintenance window: Port", False),
        ({"DBInstanceAutomatedBackupsReplications": []}, "stay in its region", False),
        ({"CertificateDetails": {"ValidTill": LATEST}}, "certificate", False),
    ):
        found = _texts({**good, **change}, [window], now_ns)
        new = {text: is_alert for text, is_alert in found.items() if text not in quiet}
        ((text, is_alert),) = new.items()
        assert said in text
        assert is_alert is alert
    late = _texts(good, [window._replace(latest_ns=now_ns - 20 * MINUTE)], now_ns)
    assert any("20 minutes" in text and alert for text, alert in late.items())
    assert any("no automated backup yet" in text for text in _texts(good, [], now_ns))
