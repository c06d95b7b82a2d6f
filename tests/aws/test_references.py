"""Secrets that AWS keeps: found by reference, never shown, and every no says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from strongroom.app.databases import completed, connection_of
from strongroom.app.machine import Run, this_machine
from strongroom.aws.account import Account
from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError
from strongroom.aws.values import parameter, parameters_below, secret
from strongroom.config.environment import Environment
from strongroom.config.places import Flags
from strongroom.config.settings import load_settings
from strongroom.errors import SourceError, UsageError
from tests.cli.harness import Program, Result
from tests.support.aws import REGION, AwsServer

pytestmark = pytest.mark.spec("C2")

CANARY = "canary-7f3a9c/+ =!"


@pytest.fixture(name="program")
def _program(tmp_path: Path, aws: AwsServer) -> Program:
    """Return the program on a machine that has the server for AWS, and no other secret."""
    program = Program(tmp_path)
    program.environment |= aws.variables
    for name in ("STRONGROOM_KEY_FILE", "STRONGROOM_REPOSITORY"):
        del program.environment[name]
    return program


def said(program: Program, aws: AwsServer, text: str) -> Run:
    """Return what a command works with that finds this configuration."""
    path = program.folder / "strongroom.toml"
    path.write_text(f"version = 1\n{text}")
    environment = Environment({"HOME": str(program.home), **aws.variables}, program.folder)
    return Run(load_settings(Flags(), environment), this_machine(), lambda _event: None)


def put(aws: AwsServer, **values: str) -> None:
    """Store parameters below /shop/production/db."""
    for name, value in values.items():
        kind = "SecureString" if name == "password" else "String"
        aws.client("ssm").put_parameter(Name=f"/shop/production/db/{name}", Value=value, Type=kind)


def without_canary(*results: Result) -> None:
    """Nothing that was printed holds the secret."""
    for result in results:
        assert CANARY not in result.out + result.err


CONNECTION = """
project = "shop"
[sources.db]
type = "postgres"
connection = { ssm = "/{project}/{environment}/db/", sslmode = "require" }
[environments.production]
aws = { region = "REGION" }
""".replace("REGION", REGION)


def test_parameters_below_a_path_are_a_connection(program: Program, aws: AwsServer) -> None:
    """Host, port, name, user and password, all with one request; what is stated counts first."""
    put(aws, host="db.internal", port="6432", name="shop", username="backup", password=CANARY)
    run = said(program, aws, CONNECTION)
    settings = run.settings.databases["production.db"]
    connection = connection_of(run, settings)
    assert (connection.host, connection.port, connection.user) == ("db.internal", 6432, "backup")
    assert (connection.database, connection.sslmode) == ("shop", "require")
    assert connection.password == CANARY
    for shown in (run, settings, completed(run, settings), connection.shown, run.aws):
        assert CANARY not in repr(shown)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "there is no SSM parameter below /shop/production/db"),
        ({"password": CANARY}, "no parameter 'host'"),
        ({"host": "h", "port": "many"}, "db/port is no port"),
    ],
)
def test_parameters_that_are_no_connection(
    program: Program, aws: AwsServer, values: dict[str, str], says: str
) -> None:
    """What is missing, or means nothing, is named."""
    put(aws, **values)
    run = said(program, aws, CONNECTION)
    with pytest.raises(UsageError, match=says) as refused:
        connection_of(run, run.settings.databases["production.db"])
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    "password", ['{ ssm = "/pw" }', '{ secret = "db" , key = "password" }', '{ secret = "plain" }']
)
def test_a_password_by_reference(program: Program, aws: AwsServer, password: str) -> None:
    """From a parameter, a field of a secret, and a whole secret."""
    aws.client("ssm").put_parameter(Name="/pw", Value=CANARY, Type="SecureString")
    client = aws.client("secretsmanager")
    fields = json.dumps({"username": "u", "password": CANARY})
    client.create_secret(Name="db", SecretString=fields)
    client.create_secret(Name="plain", SecretString=CANARY)
    to = f'connection = {{ host = "h", password = {password} }}'
    text = f'[sources.db]\ntype = "postgres"\n{to}\n'
    run = said(program, aws, text)
    assert connection_of(run, run.settings.databases["db"]).password == CANARY


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("password", "no json", "is no JSON object"),
        ("password", '"text"', "is no JSON object"),
        ("password", '{"other": "CANARY"}', "is not there"),
        ("password", '{"password": {"CANARY": 1}}', "is no text"),
        ("password", '{"password": ""}', "is empty"),
        ("password", '{"password": true}', "is no text"),
    ],
)
def test_fields_that_are_none(aws: AwsServer, key: str, value: str, says: str) -> None:
    """Each is told without the value."""
    aws.client("secretsmanager").create_secret(
        Name="db", SecretString=value.replace("CANARY", CANARY)
    )
    with pytest.raises(UsageError, match=says) as refused:
        secret(Clients(aws.account), "db", key)
    assert CANARY not in refused.value.message + refused.value.hint


def test_what_is_not_there_is_named(aws: AwsServer) -> None:
    """The parameter, the secret, the account, and where to look."""
    clients = Clients(aws.account)
    for ask, name in ((parameter, "/a/b"), (secret, "nothing")):
        with pytest.raises(AwsError, match=name) as missing:
            ask(clients, name)
        assert "region" in missing.value.hint
        assert aws.endpoint in missing.value.message


@contextmanager
def refusing(name: str) -> Iterator[Account]:
    """Run a server that answers every request with the same no."""
    body = json.dumps({"__type": name, "message": "no"}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Account(region=REGION, endpoint=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("name", "hint"),
    [("AccessDeniedException", "permission"), ("ThrottlingException", "again later")],
)
def test_a_no_of_aws_says_what_to_do(name: str, hint: str) -> None:
    """Whoever is denied lacks a permission; whoever is throttled waits."""
    with refusing(name) as account:
        clients = Clients(account, attempts=1)
        for ask in (
            lambda: parameter(clients, "/a"),
            lambda: parameters_below(clients, "/a/"),
            lambda: secret(clients, "a"),
        ):
            with pytest.raises(SourceError, match=name) as refused:
                ask()
            assert hint in refused.value.hint


def test_a_repository_opens_with_a_passphrase_that_aws_keeps(
    program: Program, aws: AwsServer
) -> None:
    """Made, used and restored; the passphrase is in nothing that is printed or kept here."""
    aws.client("ssm").put_parameter(Name="/shop/repository", Value=CANARY, Type="SecureString")
    path = program.folder / "strongroom.toml"
    path.write_text(
        'version = 1\n[repositories.main]\nurl = "repository"\n'
        'passphrase = { ssm = "/shop/repository" }\n'
    )
    program.make_files(a="1")
    results = [
        program.good("init"),
        program.good("backup", "./documents"),
        program.good("restore", "latest", "--to", "back"),
        program.good("config", "show"),
        program.good("config", "check"),
        program.good("key", "list", "--json"),
    ]
    assert "SSM parameter /shop/repository" in results[3].out
    aws.client("ssm").delete_parameter(Name="/shop/repository")
    gone = program.run("snapshots")
    assert gone.code == 12
    assert "/shop/repository" in gone.err
    aws.client("ssm").put_parameter(Name="/shop/repository", Value="wrong", Type="String")
    wrong = program.run("snapshots")
    assert wrong.code == 12
    without_canary(*results, gone, wrong)
    for file in program.folder.rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('passphrase = { ssm = "/a", secret = "b" }', "give one of ssm and secret"),
        ("passphrase = {}", "give one of ssm and secret"),
        ('passphrase = { ssm = "/a", key = "b" }', "goes with 'secret'"),
        ('passphrase = { secret = "" }', "it is empty"),
        ('passphrase = { ssm = "a/b" }', "begins with '/'"),
        ('passphrase = "text"', "a table"),
        ('kms_key = ""', "it is empty"),
    ],
)
def test_references_that_mean_nothing(program: Program, text: str, says: str) -> None:
    """``config check`` names them with their line, before anybody is asked."""
    path = program.folder / "strongroom.toml"
    path.write_text(f'version = 1\n[repositories.main]\nurl = "repository"\n{text}\n')
    result = program.run("config", "check")
    assert result.code == 2
    assert "toml:4: error" in result.out
    assert says in result.out


def test_the_password_is_in_nothing_that_a_command_prints(program: Program, aws: AwsServer) -> None:
    """Where the server does not answer, and with everything that a person may ask for."""
    put(aws, host="127.0.0.1", port="1", name="shop", username="backup", password=CANARY)
    (program.folder / "strongroom.toml").write_text(f"version = 1\n{CONNECTION}")
    results = [
        program.run("doctor", "postgres", "production.db"),
        program.run("doctor", "postgres", "production.db", "--json"),
        program.run("config", "show"),
    ]
    assert results[0].code == 14
    assert "127.0.0.1" in results[0].out + results[0].err
    without_canary(*results)
