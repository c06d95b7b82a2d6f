"""Bad inputs: keys and passphrases. Each has its message, its exit code, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from strongroom.crypto.primitives import sha256
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.opening import read_config, read_slot
from strongroom.repository.records import Config, Slot, SlotDigest, SlotKind, read_body
from strongroom.repository.slots import Secret
from strongroom.repository.unlocking import unlock
from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.cli.harness import NO_KEY, PASSPHRASE, Program


def test_wrong_passphrase(empty: Program) -> None:
    """A wrong passphrase is exit 12, and says how many slots there are."""
    empty.good("init", env=empty.by_passphrase)
    (empty.folder / "wrong").write_text("battery staple\n")
    result = empty.run(
        "snapshots", env={**empty.by_passphrase, "STRONGROOM_PASSPHRASE_FILE": "wrong"}
    )
    assert result.code == 12
    assert "opens none of the 2 key slots" in result.err


@pytest.mark.parametrize("content", ["", "\n"])
def test_empty_passphrase(empty: Program, content: str) -> None:
    """An empty passphrase is refused before anything is written."""
    empty.passphrase_file.write_text(content)
    result = empty.run("init", env=empty.by_passphrase)
    assert result.code == 2
    assert "empty passphrase" in result.err
    assert not empty.repository.exists()


def test_exactly_one_new_line_is_not_part_of_the_passphrase(empty: Program) -> None:
    """Of two new lines at the end of a passphrase file, one is part of the passphrase."""
    empty.passphrase_file.write_text(f"{PASSPHRASE}\n\n")
    empty.good("init", env=empty.by_passphrase)
    empty.passphrase_file.write_text(f"{PASSPHRASE}\n")
    assert empty.run("snapshots", env=empty.by_passphrase).code == 12


@pytest.mark.parametrize("verb", ["init", "snapshots"])
def test_empty_key_file(program: Program, verb: str) -> None:
    """An empty key file is refused, by init before anything is written."""
    program.key_file.write_text(" \n")
    result = program.run("-r", "other" if verb == "init" else program.repository, verb)
    assert result.code == 2
    assert "is empty" in result.err
    assert not (program.folder / "other").exists()


def test_two_passphrases_that_differ(program: Program) -> None:
    """A passphrase given by a flag and by the environment must be the same; both are named."""
    (program.folder / "other").write_text("another\n")
    result = program.run("snapshots", "--passphrase-file", "other", env=program.by_passphrase)
    assert result.code == 2
    assert "--passphrase-file" in result.err
    assert "STRONGROOM_PASSPHRASE_FILE" in result.err
    assert "another" not in result.err


def test_two_passphrases_that_are_the_same(empty: Program) -> None:
    """The same passphrase given twice is no contradiction."""
    empty.good("init", env=empty.by_passphrase)
    copy = empty.folder / "copy"
    copy.write_bytes(empty.passphrase_file.read_bytes())
    empty.good("snapshots", "--passphrase-file", "copy", env=empty.by_passphrase)


def test_init_with_a_passphrase_and_a_key(empty: Program) -> None:
    """Init makes one way in: a passphrase file and a key file together are refused."""
    result = empty.run(
        *("init", "--passphrase-file", empty.passphrase_file, "--key-file", "k"), env=NO_KEY
    )
    assert result.code == 2
    assert "--key-file" in result.err
    assert "--passphrase-file" in result.err
    assert not (empty.folder / "k").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda key: key[:40], "letters and digits are needed"),
        (lambda key: key[:36] + ("A" if key[36] != "A" else "B") + key[37:], "group 5"),
        (lambda key: key[:9] + "1" + key[10:], "group 2"),
    ],
    ids=["truncated", "typo", "no-letter-of-it"],
)
def test_damaged_key_file(program: Program, damage: object, said: str) -> None:
    """A damaged key file is exit 12, says where, and is never called a wrong key."""
    assert callable(damage)
    program.key_file.write_text(damage(program.key_file.read_text()))
    result = program.run("snapshots")
    assert result.code == 12
    assert str(program.key_file) in result.err
    assert said in result.err
    assert "opens none" not in result.err


def test_key_file_that_others_can_read(program: Program) -> None:
    """A key file that other users can read is used, with the command that mends it."""
    program.key_file.chmod(0o644)
    result = program.good("snapshots")
    assert f"warning: other users can read the key file: chmod 600 {program.key_file}" in result.err


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("STRONGROOM_PASSPHRASE_FILE", "missing", "does not exist"),
        ("STRONGROOM_PASSPHRASE_FILE", ".", "directory"),
        ("STRONGROOM_KEY_FILE", "missing", "does not exist"),
        ("STRONGROOM_PASSPHRASE_COMMAND", "no-such-program", "does not exist"),
        ("STRONGROOM_PASSPHRASE_COMMAND", "false", "ended with 1"),
        ("STRONGROOM_PASSPHRASE_COMMAND", "echo 'open", "cannot be read"),
        ("STRONGROOM_PASSPHRASE_COMMAND", "true", "empty passphrase"),
    ],
)
def test_secret_that_cannot_be_had(program: Program, variable: str, value: str, said: str) -> None:
    """A secret that cannot be read is a mistake of whoever named it, exit 2, and says where."""
    result = program.run("snapshots", env={**NO_KEY, variable: value})
    assert result.code == 2
    assert variable in result.err
    assert said in result.err


def test_a_failing_passphrase_command_says_its_last_line(program: Program) -> None:
    """Of what the command wrote to standard error, the last line is shown."""
    (program.folder / "ask").write_text("echo first >&2; echo the vault is sealed >&2; exit 3\n")
    result = program.run("snapshots", env={**NO_KEY, "STRONGROOM_PASSPHRASE_COMMAND": "sh ./ask"})
    assert result.code == 2
    assert "ended with 3: the vault is sealed" in result.err
    assert "first" not in result.err


def test_no_key_and_no_terminal(program: Program) -> None:
    """Without a key and a terminal, the ways to give one are named."""
    for verb, target in (("snapshots", program.repository), ("init", program.folder / "new")):
        result = program.run("-r", target, verb, env=NO_KEY)
        assert result.code == 2
        assert "STRONGROOM_PASSPHRASE_FILE" in result.err


@pytest.mark.parametrize("size", [0, 12])
def test_one_damaged_slot(empty: Program, size: int) -> None:
    """A damaged slot is warned about; the others open. Verify names it as damage."""
    empty.good("init")
    slots = sorted((empty.repository / "slots").iterdir())
    opened = 0
    for slot in slots:
        data = slot.read_bytes()
        slot.chmod(0o600)
        slot.write_bytes(data[:size])
        result = empty.run("snapshots")
        opened += result.code == 0
        if result.code == 0 and "warning" in result.err:
            assert f"{slot.name[:8]} is damaged ({size} bytes)" in result.err
        assert empty.run("verify").code in {4, 12}
        slot.write_bytes(data)
    assert opened == len(slots) - 1


def test_a_slot_that_asks_for_64_gib(empty: Program) -> None:
    """A slot with unreasonable parameters is not tried, and says what it asks for."""
    empty.good("init", env=empty.by_passphrase)
    _ask_for_memory(empty.repository, 64 << 20)
    result = empty.run("snapshots", env=empty.by_passphrase)
    assert result.code == 12
    assert "asks for 67108864 KiB of memory" in result.err


def _ask_for_memory(folder: Path, kib: int) -> None:
    """Sign a passphrase slot anew that asks for this much memory."""
    store = LocalStore(PosixFs(), str(folder), SystemRandomness())
    config = read_config(store)
    secret = Secret(SlotKind.PASSPHRASE, PASSPHRASE.encode())
    keyring = unlock(store, config, [secret], print)
    sign = keyring.admin_signer().sign
    digests = []
    for slot_id in config.slots:
        slot = read_slot(store, config, slot_id)
        if slot.kind == SlotKind.PASSPHRASE:
            slot = msgspec.structs.replace(slot, parameters=(kib, 3, 4))
        digests.append(
            SlotDigest(slot_id, _rewrite(folder, config.repository_id, slot_id, slot, sign))
        )
    core = read_body("config", unwrap(store.get("config"), Kind.CONFIG, "config").body, Config).core
    data = wrap(
        Kind.CONFIG, config.repository_id, "config", encode(Config(core, tuple(digests))), sign
    )
    (folder / "config").chmod(0o600)
    (folder / "config").write_bytes(data)


def _rewrite(folder: Path, repository_id: bytes, slot_id: bytes, slot: Slot, sign) -> bytes:  # type: ignore[no-untyped-def] # noqa: ANN001
    key = layout.slot(slot_id)
    data = wrap(Kind.SLOT, repository_id, key, encode(slot), sign)
    (folder / key).chmod(0o600)
    (folder / key).write_bytes(data)
    return sha256(data)
