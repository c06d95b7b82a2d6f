"""A recovery in RDS gives a new instance all that the old one had, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest

from strongroom.aws.clients import Clients
from strongroom.aws.rds.pointers import CanonicalName, Parameter, Pointer, PointerState
from strongroom.aws.rds.record import CLUSTER, INSTANCE
from strongroom.aws.rds.service import Rds, own_tag
from strongroom.aws.rds.window import nanoseconds
from strongroom.clock import ManualClock
from strongroom.errors import RefusedError, RestoreError, SourceError
from strongroom.operations.rds.plan import (
    Journal,
    RecoveryPlan,
    Swap,
    new_members,
    read_journal,
    swap_of,
)
from strongroom.operations.rds.recovering import Outcome, Recovery, Tools
from strongroom.operations.rds.undoing import Undo, Undone, UndoTools
from tests.support.rds_model import Fault, before
from tests.support.rds_server import RdsServer
from tests.support.rds_sources import PARAMETER, ROLE, full_cluster, full_instance

pytestmark = pytest.mark.spec("C8")

MOMENT: Final = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
READER: Final = "/shop/db/reader"


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Bench:
    """A recovery that can be killed and begun again."""

    server: RdsServer
    kind: str
    of: str
    new: str = "shop-new"
    pointers: dict[str, str] = field(default_factory=dict)
    checks: Callable[[str, int], str] | None = None
    steps: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Say what clients find, and plan."""
        self.ssm = self.server.clients.client("ssm")
        for name, host in self.pointers.items():
            self.ssm.put_parameter(Name=name, Value=host, Type="String", Overwrite=True)
        self.plan = self.planned()

    def planned(self) -> RecoveryPlan:
        """Plan as the program does."""
        clients = self.server.clients
        record = Rds(clients).record(self.kind, self.of)
        assert record is not None
        window = Rds(clients).windows(self.kind, self.of)[0]
        swaps = [
            swap_of("ssm", name, "", Parameter(clients, name).read(), record.endpoints)
            for name in self.pointers
        ]
        plan = RecoveryPlan(
            id="20261122T160000Z-1",
            source="db",
            kind=self.kind,
            of=self.of,
            resource=window.resource,
            live=True,
            region="eu-west-2",
            moment_ns=nanoseconds(MOMENT),
            earliest_ns=window.earliest_ns,
            latest_ns=window.latest_ns,
            new=self.new,
            engine=record.engine,
            settings=record.settings,
            members=new_members(record, self.new),
            roles=record.roles,
            swaps=swaps,
            learned="what it has now",
        )
        return read_journal(Journal(plan=plan).encoded(), "the journal").plan

    def run(self, *, despite: bool = False) -> Outcome:
        """Recover, or go on, as a new process does."""
        made = self.server.clients
        tools = Tools(
            Rds(made), ManualClock(), lambda _: None, self.pointer, self.checks, self.steps.append
        )
        return Recovery(self.plan, tools, despite=despite).run()

    def undo(self, *, delete: bool = False) -> Undone:
        """Undo, or go on with that, as a new process does."""
        tools = UndoTools(Rds(self.server.clients), ManualClock(), lambda _: None, self.pointer)
        return Undo(Journal(plan=self.plan), tools).run(delete=delete)

    def pointer(self, swap: Swap) -> Pointer:
        """Return what a swap changes."""
        if swap.kind == "ssm":
            return Parameter(self.server.clients, swap.name)
        return CanonicalName(self.server.clients, swap.zone, swap.name, ManualClock())

    def value(self, name: str = PARAMETER) -> str:
        """Return what clients find."""
        value: str = self.ssm.get_parameter(Name=name)["Parameter"]["Value"]
        return value

    def settings(self) -> dict[str, Any]:
        """Return the settings of the new one as they are."""
        record = Rds(self.server.clients).record(self.kind, self.new)
        assert record is not None
        return record.settings


def instance(server: RdsServer, *, slow: int = 0) -> Bench:
    """Return a recovery of an instance that is found by a parameter."""
    document = full_instance(server.home)
    server.home.slow = slow
    return Bench(server, INSTANCE, "shop-db", pointers={PARAMETER: document["Endpoint"]["Address"]})


def cluster(server: RdsServer, *, slow: int = 0) -> Bench:
    """Return a recovery of a cluster whose endpoints are found by two parameters."""
    document = full_cluster(server.home)
    server.home.slow = slow
    pointers = {
        PARAMETER: f"postgres://{document['Endpoint']}:6432/app",
        READER: document["ReaderEndpoint"],
    }
    return Bench(server, CLUSTER, "shop", pointers=pointers)


def test_every_setting_is_as_it_was(rds: RdsServer) -> None:
    """A restore is told all that it takes, the rest is changed afterwards, and all is compared."""
    bench = instance(rds, slow=2)
    assert bench.checks is None
    outcome = bench.run()
    assert outcome.differing == []
    wanted = bench.plan.settings
    assert len(wanted) > 30
    assert bench.settings() == wanted
    (asked,) = rds.asked("RestoreDBInstanceToPointInTime")
    assert asked["RestoreTime"] == MOMENT
    assert asked["VpcSecurityGroupIds"] == ["sg-1", "sg-2"]
    (changed,) = rds.asked("ModifyDBInstance")
    assert changed.keys() >= {"MonitoringRoleArn", "EnablePerformanceInsights"}
    new = rds.home.instances["shop-new"]
    assert [one["RoleArn"] for one in new["AssociatedRoles"]] == [ROLE]
    assert new["Endpoint"]["Port"] == outcome.port == 6432
    assert bench.value() == new["Endpoint"]["Address"]
    assert rds.home.instances["shop-db"]["DBInstanceStatus"] == "available"


def test_a_cluster_gets_its_instances_too(rds: RdsServer) -> None:
    """The writer first, each with its own settings; both endpoints are swapped, in a URL too."""
    bench = cluster(rds, slow=1)
    outcome = bench.run()
    assert outcome.differing == []
    made = [said["DBInstanceIdentifier"] for said in rds.asked("CreateDBInstance")]
    assert made == ["shop-new-1", "shop-new-2"]
    assert rds.home.instances["shop-new-1"]["DBInstanceClass"] == "db.serverless"
    assert rds.home.instances["shop-new-2"]["PromotionTier"] == 3
    assert bench.settings() == bench.plan.settings
    assert bench.settings()["ServerlessV2ScalingConfiguration"]["MaxCapacity"] == 16
    new = rds.home.clusters["shop-new"]
    assert bench.value() == f"postgres://{new['Endpoint']}:6432/app"
    assert bench.value(READER) == new["ReaderEndpoint"]


@contextmanager
def _killed(clients: Clients, at: int, *, after: bool) -> Iterator[None]:
    """Let the process end at a request that changes something, before it or after it was done."""
    seen: list[str] = []

    def count(model: Any, **_: Any) -> None:  # noqa: ANN401 - as botocore calls it
        if model.name.startswith(("Describe", "Get", "List")):
            return
        seen.append(model.name)
        if len(seen) == at:
            raise Killed

    moment = "after-call" if after else "before-call"
    hooks = [(clients.client(one).meta.events, f"{moment}.{one}") for one in ("rds", "ssm")]
    for events, name in hooks:
        events.register(name, count, unique_id="killing")
    try:
        yield
    finally:
        for events, name in hooks:
            events.unregister(name, unique_id="killing")


@pytest.mark.parametrize(
    ("make", "after"),
    [
        (instance, False),
        (instance, True),
        pytest.param(cluster, False, marks=pytest.mark.slow),
        (cluster, True),
    ],
)
def test_killed_at_each_request_and_resumed(
    rds: RdsServer,
    make: Callable[[RdsServer], Bench],
    after: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Whatever was done last, the next run ends as one that was never cut short, done once."""
    at, killed = 0, True
    while killed:
        at, killed = at + 1, False
        rds.reset()
        bench = make(rds)
        try:
            with _killed(rds.clients, at, after=after):
                bench.run()
        except Killed:
            killed = True
            assert bench.run().differing == []
        assert bench.settings() == bench.plan.settings
        assert "shop-new" in bench.value()
        for once in ("RestoreDBInstanceToPointInTime", "RestoreDBClusterToPointInTime"):
            assert len(rds.asked(once)) <= 1
        assert len(rds.home.instances) == (2 if bench.kind == INSTANCE else 4)
    assert at > 4


@pytest.mark.parametrize("make", [instance, pytest.param(cluster, marks=pytest.mark.slow)])
def test_undone_wherever_it_was_killed(rds: RdsServer, make: Callable[[RdsServer], Bench]) -> None:
    """Clients are where they were, the new one is gone, and its last state is a snapshot."""
    at, killed = 0, True
    while killed:
        at, killed = at + 1, False
        rds.reset()
        bench = make(rds)
        old = bench.value()
        bench.run()
        try:
            with _killed(rds.clients, at, after=bool(at % 2)):
                bench.undo(delete=True)
        except Killed:
            killed = True
            bench.undo(delete=True)
        assert bench.value() == old
        assert "shop-new" not in {*rds.home.instances, *rds.home.clusters}
        assert {*rds.home.snapshots, *rds.home.cluster_snapshots} == {"shop-new-final"}
    assert at > 3


def test_an_undo_keeps_the_new_one_unless_it_is_asked_to_delete_it(rds: RdsServer) -> None:
    """Clients go back, and nothing is deleted; a second undo finds nothing to do."""
    bench = instance(rds)
    old = bench.value()
    bench.run()
    done = bench.undo()
    assert [one.new for one in done.swapped] == [old]
    assert done.deleted == []
    assert "shop-new" in rds.home.instances
    assert bench.undo().swapped == []


def test_what_this_recovery_did_not_make_is_never_used_or_deleted(rds: RdsServer) -> None:
    """An instance that has the name, made by somebody else, stops a recovery and an undo."""
    bench = instance(rds)
    rds.home.add_instance("shop-new")
    with pytest.raises(RefusedError, match="did not make it"):
        bench.run()
    with pytest.raises(RefusedError, match="not deleted"):
        bench.undo(delete=True)
    assert "shop-new" in rds.home.instances


def test_a_parameter_that_somebody_changed_meanwhile_stays(rds: RdsServer) -> None:
    """Neither the swap nor its undo overwrites what a person set."""
    bench = instance(rds)
    bench.ssm.put_parameter(Name=PARAMETER, Value="elsewhere", Overwrite=True)
    with pytest.raises(RefusedError, match="elsewhere"):
        bench.run()
    with pytest.raises(RefusedError, match="elsewhere"):
        bench.undo()
    assert bench.value() == "elsewhere"


def test_clients_are_not_sent_to_what_differs(rds: RdsServer) -> None:
    """A setting that AWS took and did not set stops the swap, until somebody says otherwise."""
    bench = instance(rds)
    rds.home.ignores = {"EnableIAMDatabaseAuthentication"}
    old = bench.value()
    with pytest.raises(RestoreError, match="EnableIAMDatabaseAuthentication") as caught:
        bench.run()
    assert "--despite-differences" in caught.value.hint
    assert bench.value() == old
    outcome = bench.run(despite=True)
    assert [one.name for _, one in outcome.differing] == ["EnableIAMDatabaseAuthentication"]
    assert bench.value() != old


def test_clients_are_not_sent_to_what_does_not_answer(rds: RdsServer) -> None:
    """The check comes before the swap."""
    bench = instance(rds)
    old = bench.value()

    def refuses(host: str, port: int) -> str:
        raise SourceError(f"{host}:{port} refuses")

    bench.checks = refuses
    with pytest.raises(RestoreError, match=r"shop-new\.c1a2b3.*6432 refuses") as caught:
        bench.run()
    assert "--resume" in caught.value.hint
    assert bench.value() == old
    bench.checks = lambda host, port: f"{host} answers at {port}"
    assert "answers at 6432" in bench.run().checked


def test_a_no_in_the_middle_says_how_to_go_on(rds: RdsServer) -> None:
    """What AWS said, that nothing in use changed, and both ways out."""
    bench = instance(rds)
    old = bench.value()
    rds.faults["ModifyDBInstance"] = [Fault("StorageQuotaExceeded", "too much storage")]
    with pytest.raises(RestoreError, match=r"too much storage.*nothing that clients use") as caught:
        bench.run()
    assert "--resume" in caught.value.hint
    assert "--undo --delete-new" in caught.value.hint
    assert bench.value() == old
    assert bench.run().differing == []


def test_throttling_is_waited_out(rds: RdsServer) -> None:
    """A request that comes too soon after others is made again."""
    bench = instance(rds)
    slow_down = Fault("Throttling", "Rate exceeded")
    rds.faults["RestoreDBInstanceToPointInTime"] = [slow_down]
    rds.faults["DescribeDBInstances"] = [slow_down]
    assert bench.run().differing == []


def test_a_parameter_group_that_waits_gets_its_restart(rds: RdsServer) -> None:
    """A restored instance whose group waits for a restart is restarted once."""
    bench = instance(rds, slow=1)
    bench.run()
    group = {"DBParameterGroupName": "shop16", "ParameterApplyStatus": "pending-reboot"}
    rds.home.instances["shop-new"]["DBParameterGroups"] = [group]
    assert bench.run().differing == []
    assert len(rds.asked("RebootDBInstance")) == 1


@pytest.mark.parametrize("status", ["incompatible-restore", "incompatible-network", "failed"])
def test_what_never_becomes_available_is_not_waited_for(rds: RdsServer, status: str) -> None:
    """A status that does not change by itself ends it at once."""
    bench = instance(rds, slow=1)
    bench.run()
    rds.home.instances["shop-new"]["DBInstanceStatus"] = status
    with pytest.raises(RestoreError, match=status):
        bench.run()


def test_a_record_of_route_53_is_swapped_and_goes_back(rds: RdsServer) -> None:
    """The name has the new endpoint and its old time to live."""
    host = full_instance(rds.home)["Endpoint"]["Address"]
    dns = rds.clients.client("route53")
    zone = dns.create_hosted_zone(Name="shop.internal", CallerReference="1")["HostedZone"]["Id"]
    values = {"TTL": 30, "ResourceRecords": [{"Value": f"{host}."}]}
    record = {"Name": "db.shop.internal", "Type": "CNAME", **values}
    change = {"Action": "CREATE", "ResourceRecordSet": record}
    dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})
    pointer = CanonicalName(rds.clients, zone, "DB.shop.internal.", ManualClock())
    state = pointer.read()
    assert state == PointerState(host, {"TTL": 30})
    bench = Bench(rds, INSTANCE, "shop-db")
    swap = swap_of("cname", "db.shop.internal", zone, state, {"writer": host})
    bench.plan = msgspec.structs.replace(bench.plan, swaps=[swap])
    bench.run()
    assert pointer.read() == PointerState(rds.home.host("shop-new"), {"TTL": 30})
    bench.undo()
    assert pointer.read() == state


def test_the_new_one_is_known_by_its_tag(rds: RdsServer) -> None:
    """The tag names the recovery; tags of AWS's own are not taken along."""
    bench = instance(rds)
    bench.run()
    new = rds.home.instances["shop-new"]
    assert own_tag(new) == bench.plan.id
    assert {one["Key"] for one in new["TagList"]} == {"team", "strongroom:recovery"}


def test_the_server_refuses_moments_outside_of_the_window(rds: RdsServer) -> None:
    """What judges these tests does look at the moment."""
    bench = instance(rds)
    window = rds.home.instance_backups[0]["RestoreWindow"]
    window["EarliestTime"] = window["LatestTime"] = before(MOMENT, hours=1)
    with pytest.raises(SourceError, match="InvalidRestoreFault"):
        bench.run()
    assert "shop-new" not in rds.home.instances
