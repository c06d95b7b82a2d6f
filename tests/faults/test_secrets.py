"""Canaries: a passphrase, a key file and a recovery key that must not turn up anywhere."""

from __future__ import annotations

import base64
import gc
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from strongroom.crypto.keytext import key_to_text, text_to_key
from strongroom.errors import StrongroomError
from strongroom.repository.keyring import Keyring
from strongroom.repository.records import SlotKind
from strongroom.repository.session import BackupSession
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from tests.cli.harness import Program, Result
from tests.faults.damage import flipped
from tests.faults.workloads import objects_of, store_of
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B1", "B3")

PASSPHRASE = "canary horse Battery 7 staple"
KEY = b"a canary key of thirty-two bytes"
FILES = {b"a": b"1", b"b/c": b"2" * 1000}


def needles(*secrets: bytes | str) -> set[bytes]:
    """Return every form in which a secret could turn up."""
    found: set[bytes] = set()
    for secret in secrets:
        raw = secret.encode() if isinstance(secret, str) else secret
        shown = {repr(raw)[2:-1], raw.hex(), base64.b64encode(raw).decode().rstrip("=")}
        found |= {raw, *(text.encode() for text in shown), raw.hex().upper().encode()}
        if len(raw) == len(KEY):
            text = key_to_text(raw)
            found |= {text.encode(), text.replace("-", "").encode(), text.lower().encode()}
    return found


def hits(secrets: set[bytes], where: bytes) -> list[bytes]:
    """Return the secrets found in some bytes."""
    return [secret for secret in secrets if secret in where]


class TestEngine:
    """Objects and exceptions, as a debugger, a log or a crash report would show them."""

    @pytest.fixture(name="kit")
    def _kit(self, tmp_path: Path) -> Kit:
        return Kit(MemoryStore(), tmp_path / "state")

    @pytest.mark.parametrize("kind", [SlotKind.PASSPHRASE, SlotKind.KEY_FILE])
    def test_no_object_shows_a_secret(self, kit: Kit, kind: SlotKind) -> None:
        """While a repository is made, opened and written, ``repr`` and ``str`` of every object of
        this package that is alive show neither what opens it nor what it gives.
        """
        value = PASSPHRASE.encode() if kind is SlotKind.PASSPHRASE else KEY
        secret = Secret(kind, value)
        kit.secrets = [secret]
        made = kit.init(secret)
        repository = kit.open()
        session = BackupSession(repository)
        session.begin()
        assert isinstance(repository.keyring, Keyring)
        bundle = repository.keyring._bundle
        assert bundle.admin_seed is not None
        secrets = needles(
            value,
            text_to_key(made.created.recovery_key),
            bundle.admin_seed,
            bundle.domain_root,
            bundle.epochs[0].secret,
            repository.keyring.own_domain.secret,
            session._keys.secret._secret,
        )
        seen = 0
        for thing in _objects():
            seen += 1
            for shown in (repr(thing), str(thing)):
                found = hits(secrets, shown.encode("utf-8", "replace"))
                assert not found, f"{type(thing)} shows a secret"
        assert seen > 30
        session.abort()

    def test_no_exception_shows_a_secret(self, kit: Kit, tmp_path: Path) -> None:
        """Whatever goes wrong while secrets are used, the exception and its traceback hide them."""
        secret = Secret(SlotKind.KEY_FILE, KEY)
        kit.secrets = [secret]
        recovery = text_to_key(kit.init(secret).created.recovery_key)
        kit.backup(FILES)
        secrets = needles(KEY, recovery)
        objects = objects_of(kit.store)
        shown = 0
        for number, (key, value) in enumerate(objects.items()):
            for place in range(0, len(value), 7):
                changed = {**objects, key: flipped(value, place, 2)}
                other = Kit(store_of(changed), tmp_path / f"other {number}")
                for opens in ([secret], [Secret(SlotKind.RECOVERY, recovery)], [_wrong()]):
                    other.secrets = opens
                    for error in _errors(other.open):
                        shown += 1
                        assert not hits(secrets, error)
                shutil.rmtree(tmp_path / f"other {number}", ignore_errors=True)
        assert shown > 100


def _wrong() -> Secret:
    return Secret(SlotKind.KEY_FILE, b"w" * 32)


def _errors(work: Callable[[], object]) -> Iterator[bytes]:
    try:
        work()
    except StrongroomError as error:
        lines = [repr(error), str(error), error.hint, *traceback.format_exception(error)]
        yield "\n".join(lines).encode()


def _objects() -> Iterator[object]:
    for thing in gc.get_objects():
        module = str(getattr(type(thing), "__module__", ""))
        if module.startswith("strongroom."):
            yield thing


class Canary:
    """A program with canaries as its secrets, and all that it ever said."""

    def __init__(self, folder: Path) -> None:
        self.program = Program(folder)
        self.program.passphrase_file.write_text(f"{PASSPHRASE}\n")
        self.said: list[Result] = []

    def run(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> Result:
        """Run a command, whatever it comes to."""
        result = self.program.run(*arguments, env=env)
        self.said.append(result)
        return result

    def check(self, secrets: set[bytes]) -> None:
        """Nothing that was said, and no file but those a person keeps secrets in, shows one."""
        for result in self.said:
            said = result.raw + result.out.encode() + result.err.encode()
            assert not hits(secrets, said), result
        own = {self.program.key_file, self.program.passphrase_file}
        files = [p for p in self.program.folder.rglob("*") if p.is_file() and p not in own]
        assert len(files) > 10
        for path in files:
            assert not hits(secrets, path.read_bytes() + bytes(path)), path


@pytest.mark.parametrize("how", ["passphrase", "key file"])
def test_no_command_says_or_keeps_a_secret(how: str, tmp_path: Path) -> None:
    """Whatever a command says, with ``--debug``, as JSON and when it fails, and whatever it keeps
    in the repository, the state or the cache: no passphrase, key or recovery key is in it. Only
    ``init`` prints the recovery key, once.
    """
    canary = Canary(tmp_path)
    program = canary.program
    env = program.by_passphrase if how == "passphrase" else None
    if how == "key file":
        program.key_file.write_text(key_to_text(KEY) + "\n")
        program.key_file.chmod(0o600)
    made = program.run("init", "--json", env=env)
    recovery = made.record("initialized")["recovery_key"]
    secrets = needles(PASSPHRASE, KEY, text_to_key(recovery))
    assert hits(secrets, made.err.encode()) == []
    program.make_files(a="1", b="2")
    second = {**(env or {}), "STRONGROOM_REPOSITORY": str(tmp_path / "second")}
    assert program.run("init", env=second).code == 0
    with_key = ("--to-passphrase-file", str(program.passphrase_file))
    if how == "key file":
        with_key = ("--to-key-file", str(program.key_file))
    for arguments in (
        ("init",),
        ("backup", "./documents"),
        ("backup", "./documents", "--json"),
        ("backup", "./missing", "--debug"),
        ("snapshots", "--json"),
        ("ls", "latest"),
        ("dump", "latest", "/nothing"),
        ("restore", "latest", "--to", "back"),
        ("verify", "--read-data", "--json"),
        ("key", "list", "--json"),
        ("key", "export-agent", "--name", "web1", "--to", "web1.agent"),
        ("key", "add", "--new-passphrase-file", "passphrase", "--debug"),
        ("key", "remove", "ffff", "--debug"),
        ("key", "kit", "--debug"),
        ("copy", "--to", "second", *with_key, "--debug"),
        ("copy", "--to", "second", "--to-key-file", "web1.agent", "--debug"),
        ("repair", "--from", "second", with_key[0].replace("to", "from"), with_key[1], "--json"),
        ("retention", "explain", "--keep-last", "1", "--json"),
        ("hold", "latest", "--note", "why"),
        ("forget", "latest", "--debug"),
        ("hold", "--release", "latest"),
        ("forget", "latest", "--prune", "--json"),
        ("undelete", "ffff", "--debug"),
        ("prune", "--grace", "0", "--debug"),
        ("verify", "--every", "30d"),
    ):
        canary.run(*arguments, env=env)
    (tmp_path / "wrong").write_text(
        PASSPHRASE[:-1] if how == "passphrase" else key_to_text(b"w" * 32)
    )
    (tmp_path / "wrong").chmod(0o600)
    option = "--passphrase-file" if how == "passphrase" else "--key-file"
    canary.run("snapshots", "--debug", option, str(tmp_path / "wrong"))
    canary.run("snapshots", option, str(program.folder / "nothing"))
    _damage(program.repository)
    canary.run("verify", "--debug", env=env)
    canary.run("snapshots", "--debug", env=env)
    canary.check(secrets)


def _damage(repository: Path) -> None:
    """Damage a slot, the way a disk does, and a commit."""
    for path in [*sorted(repository.glob("slots/*"))[:1], *sorted(repository.glob("commits/*/*"))]:
        data = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(flipped(data, len(data) // 2, 1))
