"""``strongroom rds`` and ``recover`` of a source in RDS, as a person runs them."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from tests.cli.harness import COMMAND, Program, Result
from tests.support.aws import AwsServer
from tests.support.rds_server import RdsServer
from tests.support.rds_sources import PARAMETER, full_cluster, full_instance

pytestmark = pytest.mark.spec("C8")

TIME: Final = "2026-11-22T14:30Z"
_FILE: Final = """\
version = 1
[sources.db]
type    = "postgres"
logical = false
rds     = {{ {what}, swap = {{ ssm = "{parameter}" }} }}
"""


class Shop(Program):
    """A program whose configuration names an instance, or a cluster."""

    def __init__(self, folder: Path, server: RdsServer | AwsServer) -> None:
        super().__init__(folder)
        self.environment |= server.variables
        self.describe('instance = "shop-db"')

    def describe(self, what: str) -> None:
        """Write the configuration."""
        text = _FILE.format(what=what, parameter=PARAMETER)
        (self.folder / "strongroom.toml").write_text(text)

    def recover(self, *more: str) -> Result:
        """Recover to a moment, asking nothing, into the place of the old one."""
        return self.run("recover", "db", "--to-time", TIME, "--no-confirm", *more)


def value(server: RdsServer) -> str:
    """Return what clients find."""
    found: str = server.clients.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    return found


def put(server: RdsServer, host: str) -> None:
    """Say what clients find."""
    ssm = server.clients.client("ssm")
    ssm.put_parameter(Name=PARAMETER, Value=host, Type="String", Overwrite=True)


@pytest.fixture
def shop(rds: RdsServer, tmp_path: Path) -> Shop:
    """Return a program with a repository, and an instance that is found by a parameter."""
    document = full_instance(rds.home)
    put(rds, document["Endpoint"]["Address"])
    made = Shop(tmp_path, rds)
    made.good("init")
    return made


def test_a_dry_run_names_every_request_and_makes_none(shop: Shop, rds: RdsServer) -> None:
    """The plan has the moment, the requests and the parameter; nothing is written anywhere."""
    rds.log.clear()
    done = shop.good("recover", "db", "--to-time", TIME, "--dry-run")
    assert "RestoreDBInstanceToPointInTime shop-db -> shop-db-r" in done.out
    assert "ModifyDBInstance shop-db-r" in done.out
    assert f"PutParameter {PARAMETER}: shop-db.c1a2b3" in done.out
    assert rds.log == []
    assert shop.good("snapshots", "--json").record("summary")["snapshots"] == 0
    assert not (shop.state / "rds").exists()


def test_a_recovery_and_its_undo(shop: Shop, rds: RdsServer) -> None:
    """Clients are sent to the new one, and back; the journal is here and in the repository."""
    old = value(rds)
    done = shop.recover("--json")
    assert done.code == 0, done
    new = done.record("summary")["new"]
    assert done.record("summary")["differing"] == 0
    assert value(rds) == rds.home.host(new)
    assert "shop-db" in rds.home.instances
    assert "recovery.json" in shop.good("ls", "latest").out
    assert "settings.json" in shop.good("ls", "latest~1").out
    assert "recovery" not in shop.run("freshness", "--max-age", "1s", "--json").out
    dry = shop.good("recover", "db", "--undo", "--delete-new", "--dry-run")
    assert f"{new}-final" in dry.out
    assert value(rds) != old
    back = shop.good("recover", "db", "--undo", "--delete-new", "--confirm", new)
    assert f"{new} is deleted" in back.out
    assert value(rds) == old
    assert list(rds.home.instances) == ["shop-db"]
    assert list(rds.home.snapshots) == [f"{new}-final"]


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("1999-01-01", "this moment of shop-db cannot be reached"),
        ("2026-11-22T15:00:01Z", "this moment of shop-db cannot be reached"),
        ("yesterday", "is no time"),
    ],
)
def test_a_moment_that_cannot_be_reached_is_refused(
    shop: Shop, rds: RdsServer, time: str, said: str
) -> None:
    """With those that can, before anything is asked for."""
    rds.log.clear()
    done = shop.run("recover", "db", "--to-time", time, "--no-confirm")
    assert done.code in {2, 15}
    assert said in done.err
    if done.code == 15:
        assert "from 2026-11-01T04:00:00Z to 2026-11-22T15:00:00Z" in done.err
    assert rds.log == []


def test_it_wants_to_be_confirmed(shop: Shop, rds: RdsServer) -> None:
    """Without a terminal, and with the name of something else, nothing is made."""
    rds.log.clear()
    assert shop.run("recover", "db", "--to-time", TIME).code == 6
    assert shop.run("recover", "db", "--to-time", TIME, "--confirm", "other").code == 6
    assert rds.log == []
    shop.good("recover", "db", "--to-time", TIME, "--confirm", "shop-db")


def test_beside_it_nothing_is_asked_and_nobody_sent_there(shop: Shop, rds: RdsServer) -> None:
    """``--into`` gives a name; the parameter stays; a name that is taken is refused."""
    old = value(rds)
    done = shop.good("recover", "db", "--latest", "--into", "look-around")
    assert "all 3" in done.out
    assert value(rds) == old
    (asked,) = rds.asked("RestoreDBInstanceToPointInTime")
    assert asked["UseLatestRestorableTime"] is True
    assert shop.run("recover", "db", "--latest", "--into", "look-around").code == 6
    assert shop.run("recover", "db", "--latest", "--into", "no--name").code == 6


def test_settings_outlive_the_instance(shop: Shop, rds: RdsServer) -> None:
    """A backup saves them; when the instance is deleted they and the retained backups serve."""
    saved = shop.good("backup", "db", "--json").record("summary")
    assert shop.good("dump", "latest", "rds/db/settings.json").out.count("shop16") >= 2
    again = shop.good("backup", "db", "--json").record("summary")
    assert again["data_added"] < saved["data_added"]
    rds.home.lose("shop-db")
    assert shop.run("backup", "db").code == 15
    done = shop.recover("--json")
    assert done.code == 0, done
    new = done.record("summary")["new"]
    plan = done.record("plan")
    assert "snapshot" in plan["settings_from"]
    assert rds.home.instances[new]["DBSubnetGroup"] == {"DBSubnetGroupName": "private"}
    (asked,) = rds.asked("RestoreDBInstanceToPointInTime")
    assert "SourceDbiResourceId" in asked


@pytest.mark.slow
def test_settings_of_an_earlier_day_can_be_chosen(shop: Shop, rds: RdsServer) -> None:
    """``--snapshot`` names whose settings count, where those of now are not wanted."""
    shop.good("backup", "db")
    rds.home.instances["shop-db"]["DBInstanceClass"] = "db.t4g.micro"
    done = shop.recover("--snapshot", "latest", "--json")
    assert done.code == 0, done
    new = done.record("summary")["new"]
    assert rds.home.instances[new]["DBInstanceClass"] == "db.r6g.xlarge"


def test_killed_and_resumed_on_another_machine(shop: Shop, rds: RdsServer) -> None:
    """A process that is killed while it waits; the journal in the repository is enough."""
    rds.home.slow = 1000
    command = [*COMMAND, "recover", "db", "--to-time", TIME, "--no-confirm"]
    environment = {**shop.environment}
    with subprocess.Popen(
        command, cwd=shop.folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        for _ in range(600):
            if rds.asked("RestoreDBInstanceToPointInTime"):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    (asked,) = rds.asked("RestoreDBInstanceToPointInTime")
    new = asked["TargetDBInstanceIdentifier"]
    rds.home.slow = 0
    rds.home.waiting = {key: (0, then) for key, (_, then) in rds.home.waiting.items()}
    assert shop.recover().code == 6
    elsewhere = {"HOME": str(shop.folder / "other")}
    dry = shop.run("recover", "db", "--resume", "--dry-run", env=elsewhere)
    assert "goes on" in dry.out
    done = shop.run("recover", "db", "--resume", "--no-confirm", env=elsewhere)
    assert done.code == 0, done
    assert value(rds) == rds.home.host(new)
    assert len(rds.asked("RestoreDBInstanceToPointInTime")) == 1
    assert shop.run("recover", "db", "--resume", "--no-confirm", env=elsewhere).code == 6


def test_without_a_repository(shop: Shop, rds: RdsServer) -> None:
    """Where the repository is lost too, a recovery still works, and is undone from here."""
    (shop.repository).rename(shop.folder / "lost")
    old = value(rds)
    assert shop.recover().code == 10
    done = shop.recover("--no-repository")
    assert done.code == 0, done
    assert value(rds) != old
    shop.good("recover", "db", "--undo", "--no-confirm", "--no-repository")
    assert value(rds) == old


def test_a_journal_of_an_agent_is_believed_by_nobody_else(shop: Shop, rds: RdsServer) -> None:
    """Whoever stole an agent's key could else say where clients are sent."""
    old = value(rds)
    shop.good("key", "export-agent", "--name", "host", "--to", shop.folder / "agent")
    agent = {"STRONGROOM_KEY_FILE": str(shop.folder / "agent"), "HOME": str(shop.folder / "h")}
    done = shop.run("recover", "db", "--to-time", TIME, "--no-confirm", env=agent)
    assert done.code == 0, done
    assert value(rds) != old
    assert shop.run("recover", "db", "--undo", "--no-confirm").code == 6
    assert value(rds) != old
    assert shop.run("recover", "db", "--undo", "--no-confirm", env=agent).code == 0
    assert value(rds) == old


def test_settings_that_differ_are_told_and_not_swapped(shop: Shop, rds: RdsServer) -> None:
    """Exit code 22 with each of them; then --despite-differences swaps, and ends with 3."""
    rds.home.instances["shop-db"]["BackupTarget"] = "outposts"
    rds.home.ignores = {"BackupTarget"}  # which can only be said when an instance is made
    old = value(rds)
    done = shop.recover()
    assert done.code == 22
    assert "BackupTarget" in done.err
    assert value(rds) == old
    done = shop.run("recover", "db", "--resume", "--despite-differences", "--no-confirm")
    assert done.code == 3
    assert "BackupTarget of shop-db-r" in done.err
    assert value(rds) != old


@pytest.mark.parametrize(
    "words",
    [
        ["--to-lsn", "0/1"],
        ["--latest", "--pause"],
        ["--latest", "--to-time", TIME],
        [],
        ["--resume", "--into", "x"],
        ["--latest", "--delete-new"],
        ["--undo", "--latest"],
    ],
)
def test_options_that_mean_nothing_here(shop: Shop, words: list[str]) -> None:
    """They are refused by name."""
    assert shop.run("recover", "db", *words, "--no-confirm").code == 2


def test_status(shop: Shop, rds: RdsServer) -> None:
    """What can be reached, and what would hurt; 5 where nothing recent can be reached."""
    rds.home.maintenance[rds.home.arn("db", "shop-db")] = [
        {"Action": "system-update", "Description": "New OS"}
    ]
    done = shop.run("rds", "status", "db")
    assert done.code == 5  # the window of this server ends long before now, or after it
    assert "instance shop-db in eu-west-2, postgres 16.4" in done.out
    assert "automated backups of 21 days" in done.out
    assert "maintenance waits: system-update: New OS" in done.out
    assert "strongroom rds snapshot db" in done.out
    records = shop.run("rds", "status", "db", "--json").records
    kinds = {one["message_type"] for one in records}
    assert kinds == {"rds_status", "rds_window", "finding"}
    rds.home.lose("shop-db")
    gone = shop.run("rds", "status", "db")
    assert gone.code == 15
    assert "automated backups" in gone.err
    assert shop.run("rds", "status", "dv").code == 2


@pytest.mark.parametrize(
    "what",
    ['instance = "shop-db"', pytest.param('cluster = "shop"', marks=pytest.mark.slow)],
)
def test_a_snapshot_and_its_copy(shop: Shop, rds: RdsServer, what: str) -> None:
    """It has our tag and the database's; its copy has a key of the other region."""
    full_cluster(rds.home)
    shop.describe(what)
    made = shop.good("rds", "snapshot", "db", "--name", "before", "--json").record("summary")
    assert made["encrypted"] is True
    shelf = rds.home.snapshots or rds.home.cluster_snapshots
    tags = {one["Key"]: one["Value"] for one in shelf["before"]["TagList"]}
    assert tags == {"team": "shop", "strongroom:source": "db"}
    assert shop.run("rds", "snapshot", "db", "--name", "before").code == 6
    assert shop.run("rds", "snapshot", "db", "--name", "no--name").code == 2
    to = ["rds", "copy", "db", "--to-region", "eu-west-1"]
    assert shop.run(*to).code == 6
    key = ["--kms-key", "alias/backup"]
    copied = shop.good(*to, *key, "--json").record("summary")
    assert copied["region"] == "eu-west-1"
    there = rds.region("eu-west-1")
    assert list(there.snapshots or there.cluster_snapshots) == ["before"]
    assert shop.run(*to, *key).code == 6
    shop.good(*to, *key, "--name", "another", "--snapshot", "before")
    assert shop.run(*to, *key, "--snapshot", "none").code == 15
    assert shop.run("rds", "copy", "db", "--to-region", "eu-west-2").code == 2


@pytest.mark.slow
def test_a_cluster_is_recovered_by_the_same_words(shop: Shop, rds: RdsServer) -> None:
    """With its instances; the plan says that its readers stay where no swap names them."""
    document = full_cluster(rds.home)
    shop.describe('cluster = "shop"')
    put(rds, document["Endpoint"])
    done = shop.recover()
    assert done.code == 0, done
    assert "clients of the reader endpoint stay with the old one" in done.err
    assert len(rds.asked("CreateDBInstance")) == 2
    assert value(rds).startswith("shop-r")


def test_moto_takes_the_same_requests(aws: AwsServer, tmp_path: Path) -> None:
    """A snapshot by the other server, which checks other things than ours does."""
    client = aws.client("rds")
    client.create_db_instance(
        DBInstanceIdentifier="shop-db", DBInstanceClass="db.m6g.large", Engine="postgres",
        AllocatedStorage=20, MasterUsername="u", MasterUserPassword="password-1",
    )  # fmt: skip
    program = Shop(tmp_path, aws)
    made = program.good("rds", "snapshot", "db", "--name", "first", "--json").record("summary")
    assert made["arn"].endswith(":snapshot:first")
    found = client.describe_db_snapshots(DBSnapshotIdentifier="first")["DBSnapshots"][0]
    assert {"Key": "strongroom:source", "Value": "db"} in found["TagList"]
    assert program.run("rds", "snapshot", "db", "--name", "first").code == 6
