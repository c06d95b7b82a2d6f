"""The policies of ``aws policy``: they allow what each role does, and nothing else.

The real commands run against a server, through a guard that asks for each request what IAM would,
and refuses what the policy does not allow.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from strongroom.aws.policies.statements import Place, pattern_of, place_of
from tests.aws.test_rds_command import Shop
from tests.cli.harness import NO_KEY, Program
from tests.support.aws import AwsServer
from tests.support.awsconfig import FILE, Estate
from tests.support.buckets import fill, make_bucket
from tests.support.iam import Call, allows, like
from tests.support.iam_calls import OWNER, Guard
from tests.support.rds_model import Document, Region
from tests.support.rds_server import RdsServer
from tests.support.rds_sources import full_cluster, full_instance
from tests.support.s3 import moment_now
from tests.support.s3_proxy import running_proxy
from tests.support.wal import SYSTEM, numbered, segment

pytestmark = pytest.mark.spec("D3")

BUCKET: Final = "arn:aws:s3:::backups"
NEW: Final = {"s3:if-none-match": "*"}
FORBIDDEN: Final = (
    "s3:BypassGovernanceRetention",
    "s3:DeleteObjectVersion",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectRetention",
    "kms:ScheduleKeyDeletion",
    "iam:PassRole",
)


@pytest.fixture(name="guard")
def _guard(aws: AwsServer) -> Iterator[tuple[Guard, str]]:
    """Give what stands before the server, and its address."""
    with running_proxy(aws.endpoint) as proxy:
        yield Guard(proxy), proxy.endpoint


class Vault(Program):
    """A repository below ``app`` in a bucket, which a key of KMS opens."""

    def __init__(self, folder: Path, aws: AwsServer, guard: Guard, endpoint: str) -> None:
        super().__init__(folder)
        self.aws = aws
        self.guard = guard
        self.environment |= {
            **aws.variables,
            "AWS_ENDPOINT_URL": endpoint,
            "STRONGROOM_REPOSITORY": "s3://backups/app",
        }
        make_bucket(aws.client("s3"), "backups")
        self.key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        del self.environment["STRONGROOM_KEY_FILE"]

    def fill(self) -> None:
        """Make the repository, what it is to save, and a segment of a cluster."""
        self.good("init", "--kms", self.key)
        self.make_files(a="1", b=bytes(100_000))
        for folder in ("pg_wal", "global"):
            (self.folder / folder).mkdir()
        control = SYSTEM.to_bytes(8, sys.byteorder) + bytes(8)
        (self.folder / "global/pg_control").write_bytes(control)
        (self.folder / "pg_wal" / numbered(1).text).write_bytes(segment(numbered(1)))

    def push(self, **env: str) -> None:
        """Archive that segment."""
        self.good("wal", "push", "--source", "db", f"pg_wal/{numbered(1).text}", env=env)

    def policy(self, role: str, *more: str | Path) -> dict[str, Any]:
        """Return what the command prints."""
        found: dict[str, Any] = json.loads(self.good("aws", "policy", "--role", role, *more).out)
        return found


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, aws: AwsServer, guard: tuple[Guard, str]) -> Vault:
    """Give a machine that has no repository yet."""
    return Vault(tmp_path, aws, *guard)


@pytest.fixture(name="vault")
def _vault(machine: Vault) -> Vault:
    machine.fill()
    return machine


def objects(action: str, *keys: str, **context: str) -> list[Call]:
    """Return calls about objects of the bucket; ``NEW`` is added to puts."""
    more = {**context, **(NEW if action == "s3:PutObject" else {})}
    return [Call(action, f"{BUCKET}/{key}", more) for key in keys]


def denies(policy: dict[str, Any], *calls: Call) -> None:
    """None of these is allowed."""
    for call in calls:
        assert not allows(policy, call), call


def forbidden(policy: dict[str, Any], *, but: str = "") -> None:
    """What no role may is allowed nowhere; ``but``: what this one may."""
    for action in FORBIDDEN:
        if action == but:
            continue
        denies(policy, Call(action), Call(action, BUCKET), *objects(action, "app/packs/00/1"))


def test_an_agent_backs_up_with_its_policy_and_can_nothing_else(vault: Vault) -> None:
    """It puts what is new below its own names, and neither reads a slot nor deletes anything."""
    web, other = (
        vault.good("key", "export-agent", "--name", name, "--to", name, "--json").record(
            "agent_exported"
        )
        for name in ("web", "other")
    )
    environment = {"STRONGROOM_KEY_FILE": str(vault.folder / "web")}
    policy = vault.policy("agent", "--key-file", vault.folder / "web")
    with vault.guard.role(policy):
        vault.good("backup", "./documents", env=environment)
        (vault.folder / "documents/c").write_text("2")
        vault.good("backup", "./documents", env=environment)
        vault.push(**environment)
    assert vault.guard.refused == []
    assert vault.guard.actions() == {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}
    mine, theirs = web["id"], other["id"]
    for kind, own, foreign in (
        ("sessions", mine, theirs),
        ("commits", mine, theirs),
        ("wal", web["domain"], other["domain"]),
    ):
        (allowed,) = objects("s3:PutObject", f"app/{kind}/{own}/1")
        assert allows(policy, allowed)
        denies(policy, Call("s3:PutObject", allowed.resource))  # over what is there
        denies(policy, *objects("s3:PutObject", f"app/{kind}/{foreign}/1", f"app/{kind}/1"))
    kept = ("app/config", "app/packs/00/1", "app/index/1", f"app/commits/{mine}/1")
    denies(policy, *objects("s3:DeleteObject", *kept, "app/slots/1"))
    denies(policy, *objects("s3:PutObject", "app/config", "app/slots/1", "app/orders/1"))
    denies(policy, *objects("s3:PutObject", "app/gc/1/kills", "app/writers/1", "packs/00/1"))
    denies(policy, *objects("s3:GetObject", "app/slots/1", "app", "config", "apps/config"))
    for prefix in ("app/slots/", "app/s", "app/", "", "other/"):
        denies(policy, Call("s3:ListBucket", BUCKET, {"s3:prefix": prefix}))
    denies(policy, Call("s3:GetObject", "arn:aws:s3:::backups2/app/config"))
    denies(policy, Call("kms:Decrypt", vault.key, context(policy_of_all(vault))))
    forbidden(policy)


def context(policy: dict[str, Any]) -> dict[str, str]:
    """Return the encryption context that a policy wants."""
    (one,) = [one for one in policy["Statement"] if one["Sid"] == "Open"]
    found: dict[str, str] = one["Condition"]["StringEquals"]
    return found


def policy_of_all(vault: Vault) -> dict[str, Any]:
    """Return the policy that allows most."""
    return vault.policy("maintainer")


@pytest.mark.spec("D8")
def test_a_host_that_restores_reads_and_does_nothing_else(vault: Vault) -> None:
    """It opens the repository with the key of KMS, of this repository alone, and reads it.

    So a look at a replica needs no other role.
    """
    vault.good("backup", "./documents")
    vault.push()
    policy = vault.policy("restore")
    with vault.guard.role(policy):
        vault.good("restore", "latest", "--to", "back")
        vault.good("verify")
        vault.good("store", "replica", "--max-age", "1h")
        server = ("--system-id", str(SYSTEM))
        missing = vault.run("wal", "fetch", numbered(9).text, "RECOVERYXLOG", *server)
    assert missing.code == 1  # the end of the archive, and no error
    assert vault.guard.refused == []
    assert vault.guard.actions() == {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}
    bound = context(policy)
    assert bound.keys() == {"kms:EncryptionContext:app", "kms:EncryptionContext:repository"}
    of_another = {**bound, "kms:EncryptionContext:repository": "0" * 32}
    assert allows(policy, Call("kms:Decrypt", vault.key, bound))
    denies(policy, Call("kms:Decrypt", vault.key, of_another))
    denies(policy, Call("kms:Decrypt", vault.key), Call("kms:Decrypt", f"{vault.key}0", bound))
    denies(policy, Call("kms:GenerateDataKey", vault.key, bound))
    denies(policy, *objects("s3:PutObject", "app/packs/00/1", "app/slots/1"))
    denies(policy, *objects("s3:DeleteObject", "app/packs/00/1", "app/slots/1"))
    denies(policy, *objects("s3:GetObject", "other/config", "application"))
    forbidden(policy)


def test_a_maintainer_does_everything_with_the_repository_and_nothing_beside_it(
    vault: Vault,
) -> None:
    """It adds, removes and reads, also where the bucket encrypts; it overwrites nothing."""
    new = vault.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    policy = vault.policy("maintainer", "--bucket-kms", "--kms-key", new)
    vault.guard.sealed = frozenset({"backups"})
    with vault.guard.role(policy):
        vault.good("backup", "./documents")
        vault.good("key", "add", "--kms", new)
        (vault.folder / "documents/b").write_bytes(b"x" * 100_000)
        vault.good("backup", "./documents")
        vault.good("forget", "latest~1")
        vault.good("prune", "--grace", "0s", "--wait", "1s")
    assert vault.guard.refused == []
    assert {"s3:DeleteObject", "s3:PutObject", "kms:GenerateDataKey"} <= vault.guard.actions()
    denies(policy, Call("s3:PutObject", f"{BUCKET}/app/packs/00/1"))
    denies(policy, *objects("s3:DeleteObject", "other/packs/00/1", "app"))
    denies(policy, Call("s3:DeleteBucket", BUCKET))
    denies(policy, *objects("s3:PutObjectRetention", "other/packs/00/1"))
    forbidden(policy, but="s3:PutObjectRetention")


def test_what_was_hidden_and_what_is_held_need_nothing_more(vault: Vault) -> None:
    """In a bucket that locks: a maintainer prunes, is told what is held, and extends retention; who
    restores reads as of before. Neither may remove a version, nor pass by a retention.
    """
    client = vault.aws.client("s3")
    client.create_bucket(
        Bucket="locked",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-2"},
        ObjectLockEnabledForBucket=True,
    )
    vault.environment["STRONGROOM_REPOSITORY"] = "s3://locked/app"
    vault.good("init", "--kms", vault.key)
    maintainer = vault.policy("maintainer", "--bucket-kms")
    restore = vault.policy("restore", "--bucket-kms")
    vault.guard.sealed = frozenset({"locked"})
    with vault.guard.role(maintainer):
        vault.good("backup", "./documents")
        (vault.folder / "documents/b").write_bytes(b"x" * 100_000)
        vault.good("backup", "./documents")
        moment = moment_now()
        vault.good("forget", "latest~1")
        pruned = vault.good("prune", "--grace", "0s", "--json").record("summary")
        vault.good("store", "protect", "--for", "1d")
        vault.good("snapshots", "--as-of", moment)
    assert vault.guard.refused == []
    assert (pruned["not_known"], pruned["objects_hidden"] > 2) == ([], True)
    assert {
        *("s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetLifecycleConfiguration"),
        *("s3:GetBucketObjectLockConfiguration", "s3:GetObjectRetention"),
        *("s3:PutObjectRetention", "s3:GetObjectVersion"),
    } <= vault.guard.actions()
    with vault.guard.role(restore):
        vault.good("restore", "latest~1", "--to", "before", "--as-of", moment)
        vault.good("verify", "--read-data", "--as-of", moment)
        refused = vault.run("store", "protect", "--for", "2d")
    assert (vault.folder / "before").exists()
    assert refused.code == 13
    assert {call.action for call in vault.guard.refused} == {"s3:GetBucketObjectLockConfiguration"}
    denies(restore, Call("s3:PutObjectRetention", "arn:aws:s3:::locked/app/packs/00/1"))
    prefix = {"s3:prefix": "other/"}
    for policy in (restore, maintainer):
        denies(policy, Call("s3:ListBucketVersions", "arn:aws:s3:::locked", prefix))
        denies(policy, Call("s3:GetObjectVersion", "arn:aws:s3:::locked/other/config"))


def test_sources_are_read_with_their_policy(estate: Estate, guard: tuple[Guard, str]) -> None:
    """Documents with and without versions, parameters, secrets and stacks; others are not."""
    judge, endpoint = guard
    estate.fill()
    estate.stacks.create_stack(
        StackName="app-web",
        TemplateBody=json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}),
    )
    s3 = estate.aws.client("s3")
    tables = ""
    for name, versioned in (("plain", False), ("versions", True)):
        make_bucket(s3, name, versioned=versioned)
        fill(s3, name, ["in/a", "in/b", "out/c"])
        tables += f'[sources.{name}]\ntype = "s3"\nbucket = "{name}"\nprefix = "in/"\n'
        tables += f"configuration = {str(versioned).lower()}\n"
    program = estate.program
    (program.folder / "strongroom.toml").write_text(FILE + tables)
    program.environment["AWS_ENDPOINT_URL"] = endpoint
    policy = json.loads(program.good("aws", "policy", "--role", "source").out)
    judge.sealed = frozenset({"plain", "versions"})
    with judge.role(policy):
        program.good("backup", "plain", "versions", "aws")
    assert judge.refused == []
    assert len(judge.actions()) > 25, judge.actions()
    denies(policy, Call("s3:GetObject", "arn:aws:s3:::plain/out/c"))
    denies(policy, Call("s3:ListBucket", "arn:aws:s3:::plain", {"s3:prefix": "out/"}))
    denies(policy, Call("s3:PutObject", "arn:aws:s3:::plain/in/a", NEW))
    denies(policy, Call("s3:DeleteObject", "arn:aws:s3:::versions/in/a"))
    here = f"eu-west-2:{OWNER}"
    for name in ("other/db", "apps/db"):
        denies(policy, Call("ssm:GetParameter", f"arn:aws:ssm:{here}:parameter/{name}"))
        arn = f"arn:aws:secretsmanager:{here}:secret:{name}-aB3xY9"
        denies(policy, Call("secretsmanager:GetSecretValue", arn))
        through = {"kms:ViaService": "secretsmanager.eu-west-2.amazonaws.com"}
        bound = {**through, "kms:EncryptionContext:SecretARN": arn}
        denies(policy, Call("kms:Decrypt", f"arn:aws:kms:{here}:key/any", bound))
    denies(policy, Call("ssm:PutParameter", f"arn:aws:ssm:{here}:parameter/app/size"))
    denies(policy, Call("kms:Decrypt", f"arn:aws:kms:{here}:key/any"))
    one = json.loads(program.good("aws", "policy", "--role", "source", "plain").out)
    assert "versions" not in json.dumps(one)
    forbidden(policy)


def test_a_restore_into_aws_has_a_policy_of_its_own(
    estate: Estate, guard: tuple[Guard, str]
) -> None:
    """Documents with undo, parameters and secrets come back; others, and locks, are not touched."""
    judge, endpoint = guard
    estate.fill()
    s3 = estate.aws.client("s3")
    make_bucket(s3, "versions", versioned=True)
    fill(s3, "versions", ["in/a", "in/b", "out/c"])
    program = estate.program
    table = '[sources.docs]\ntype = "s3"\nbucket = "versions"\nprefix = "in/"\n'
    (program.folder / "strongroom.toml").write_text(FILE + table)
    program.good("backup", "docs", "aws")
    s3.delete_object(Bucket="versions", Key="in/a")
    s3.put_object(Bucket="versions", Key="in/new", Body=b"1")
    estate.ssm.delete_parameter(Name="/app/password")
    estate.ssm.put_parameter(Name="/app/new", Value="1", Type="String")
    estate.secrets.delete_secret(SecretId="app/db", ForceDeleteWithoutRecovery=True)
    program.environment["AWS_ENDPOINT_URL"] = endpoint
    policy = json.loads(program.good("aws", "policy", "--role", "target").out)
    judge.sealed = frozenset({"versions"})
    words = ("--delete", "--no-confirm")
    with judge.role(policy):
        program.good("restore", "latest", "--in-place", *words)
        program.good("restore", "--to-bucket", "versions", "--undo", "--no-confirm")
        program.good("restore", "latest", "--configuration", *words)
    assert judge.refused == []
    assert {
        *("s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:DeleteObjectVersion"),
        *("ssm:PutParameter", "ssm:DeleteParameter", "secretsmanager:CreateSecret", "kms:Encrypt"),
    } <= judge.actions()
    here = f"eu-west-2:{OWNER}"
    denies(policy, Call("s3:PutObject", "arn:aws:s3:::versions/out/c"))
    denies(policy, Call("s3:DeleteObjectVersion", "arn:aws:s3:::versions/out/c"))
    denies(policy, Call("s3:BypassGovernanceRetention", "arn:aws:s3:::versions/in/a"))
    denies(policy, Call("ssm:PutParameter", f"arn:aws:ssm:{here}:parameter/apps/x"))
    denies(policy, Call("ssm:DeleteParameter", f"arn:aws:ssm:{here}:parameter/other"))
    arn = f"arn:aws:secretsmanager:{here}:secret:other-aB3xY9"
    denies(policy, Call("secretsmanager:DeleteSecret", arn))


@pytest.mark.parametrize(("what", "make"), [("instance", full_instance), ("cluster", full_cluster)])
def test_rds_is_looked_at_with_the_policy_of_its_source(
    tmp_path: Path, rds: RdsServer, what: str, make: Callable[[Region], Document]
) -> None:
    """``rds status`` asks for nothing else, of an instance and of a cluster with its instances."""
    make(rds.home)
    shop = Shop(tmp_path, rds)
    name = {"instance": "shop-db", "cluster": "shop"}[what]
    shop.describe(f'{what} = "{name}"')
    with running_proxy(rds.account.endpoint) as proxy:
        guard = Guard(proxy)
        shop.environment["AWS_ENDPOINT_URL"] = proxy.endpoint
        policy = json.loads(shop.good("aws", "policy", "--role", "source", "db").out)
        with guard.role(policy):
            assert shop.run("rds", "status", "db").code in {0, 5}
    assert guard.refused == []
    assert "rds:DescribeDBParameters" in guard.actions()
    denies(policy, Call("rds:DeleteDBInstance"), Call("rds:RestoreDBInstanceToPointInTime"))


def test_values_that_aws_keeps_are_read(tmp_path: Path, guard: tuple[Guard, str]) -> None:
    """Of a connection and a passphrase: the parameters and secrets that are named, no others."""
    del guard
    program = Program(tmp_path)
    for name in ("STRONGROOM_KEY_FILE", "STRONGROOM_REPOSITORY"):
        del program.environment[name]
    (tmp_path / "strongroom.toml").write_text(
        'version = 1\n[aws]\nregion = "cn-north-1"\nrole = "arn:aws-cn:iam::111122223333:role/b"\n'
        '[sources.one]\ntype = "postgres"\nconnection = { ssm = "/shop/db/" }\n'
        '[sources.two]\ntype = "postgres"\n'
        'connection = { host = "x", user = "u", password = { secret = "shop/db", key = "p" } }\n'
        '[sources.three]\ntype = "postgres"\n'
        'connection = { host = "x", user = "u", password = { rds_iam = true } }\n'
    )
    policy = json.loads(program.good("aws", "policy", "--role", "source").out)
    here = "cn-north-1:111122223333"
    for action, arn in (
        ("ssm:GetParametersByPath", f"arn:aws-cn:ssm:{here}:parameter/shop/db"),
        ("ssm:GetParametersByPath", f"arn:aws-cn:ssm:{here}:parameter/shop/db/"),
        (
            "secretsmanager:GetSecretValue",
            f"arn:aws-cn:secretsmanager:{here}:secret:shop/db-abcdef",
        ),
        ("rds-db:connect", f"arn:aws-cn:rds-db:{here}:dbuser:db-ABC/u"),
    ):
        assert allows(policy, Call(action, arn)), arn
        denies(policy, Call(action, arn.replace("shop", "shops").replace("/u", "/root")))
        denies(policy, Call(action, arn.replace("111122223333", OWNER)))


def test_what_cannot_be_said_is_refused_with_the_way_out(machine: Vault) -> None:
    """An agent without its file, a folder, a source for another role, no source in AWS: exit 2."""
    for arguments, said in (
        (("agent",), "--key-file FILE"),
        (("restore", "-r", str(machine.folder / "repository")), "no bucket"),
        (("restore", "documents"), "--role source"),
        (("source",), "aws-config"),
        (("target",), "aws-config"),
        (("source", "nothing"), "no source is called 'nothing'"),
        (("restore", "--kms-key", "alias/x"), "ARN"),
    ):
        result = machine.run("aws", "policy", "--role", *arguments)
        assert (result.code, said in result.err, result.out) == (2, True, ""), result


def test_without_the_repository_the_policy_says_what_the_configuration_knows(
    machine: Vault,
) -> None:
    """Before ``init``, or without credentials, the key that is named is bound to no repository."""
    (machine.folder / "strongroom.toml").write_text(
        f'version = 1\n[repositories.new]\nurl = "s3://backups/new"\nkms_key = "{machine.key}"\n'
    )
    env = {"STRONGROOM_REPOSITORY": None}
    result = machine.good("aws", "policy", "--role", "restore", env={**NO_KEY, **env})
    assert "warning: the repository could not be read" in result.err
    policy = json.loads(result.out)
    assert context(policy) == {"kms:EncryptionContext:app": "strongroom"}
    record = machine.good("aws", "policy", "--role", "restore", "--json", env=env).record("policy")
    assert record["policy"] == policy


def test_patterns_mean_in_iam_what_they_mean_in_the_configuration() -> None:
    """A path is all below it; what IAM would read as a sign stands for itself."""
    for text, fits, misses in (
        ("/app/", "/app/a/b", "/application"),
        ("/app/*", "/app/a/b", "/app"),
        ("/app/d?", "/app/db", "/app/d"),
        ("/app/[ab]", "/app/a", "/app/"),
        ("a$b", "a$b", "ab"),
    ):
        assert like(pattern_of(text), fits), text
        assert not like(pattern_of(text), misses), text
    assert place_of("us-gov-west-1", "") == Place("us-gov-west-1", "*")
    assert place_of("us-gov-west-1", "").arn("ssm", "x") == "arn:aws-us-gov:ssm:us-gov-west-1:*:x"
