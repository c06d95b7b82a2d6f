"""Sealed archives open with the public age program, and its files open here."""

from __future__ import annotations

import base64
import random
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pexpect
import pytest

from strongroom.archive.channel import Abandoned, Channel
from strongroom.archive.codecs import Write
from strongroom.archive.keyfile import SealingKey, key_of, warning_of
from strongroom.archive.passphrase import MOST_WORK
from strongroom.archive.sealing import is_sealed, sealing, unsealing
from strongroom.archive.tarinput import Readable
from strongroom.errors import DamageError, KeyRefusedError, UsageError
from strongroom.model.fs import Buffer
from tests.archive.making import Chunks, Sink
from tests.support.randomness import SeededRandomness

pytestmark = pytest.mark.spec("A12")

CHUNK = 64 * 1024
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 700_000]
FAST = 4  # 16 rounds of scrypt, so that a test takes no second and no 256 MiB


@pytest.fixture(scope="module")
def identity() -> bytes:
    """An identity file as age-keygen makes it."""
    made = subprocess.run(["age-keygen"], check=True, capture_output=True)
    return made.stdout


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _passphrase(text: bytes = b"correct horse") -> SealingKey:
    return key_of(text, "backup.key")


def _sealed(key: SealingKey, data: bytes, out: Write | None = None, *, step: int = 99_999) -> bytes:
    sink = Sink()
    with sealing(key, out or sink.write, SeededRandomness(), work_factor=FAST) as write:
        for start in range(0, len(data), step):
            write(data[start : start + step])
    return sink.data


def _opened(key: SealingKey, data: bytes, most: int = 1 << 20, size: int = 100_000) -> bytes:
    with unsealing(key, Chunks(data, most)) as stream:
        return _all_of(stream, size)


def _all_of(stream: Readable, size: int = 100_000) -> bytes:
    parts = []
    while part := stream.read(size):
        assert len(part) <= size
        parts.append(part)
    return b"".join(parts)


def _age(tmp_path: Path, data: bytes, *arguments: str | Path) -> bytes:
    return subprocess.run(
        ["age", *arguments], cwd=tmp_path, input=data, check=True, capture_output=True
    ).stdout


def _threads() -> int:
    return sum(one.name == "age" for one in threading.enumerate())


@pytest.mark.parametrize("size", SIZES)
def test_there_and_back(identity: bytes, size: int) -> None:
    """Any size, whole chunks and nothing at all, with public keys and with a passphrase."""
    data = _noise(size)
    for key in (key_of(identity, "backup.key"), _passphrase()):
        sealed = _sealed(key, data)
        assert is_sealed(sealed[:64])
        assert _opened(key, sealed) == data
        assert _opened(key, sealed, most=1000, size=777) == data
    assert _threads() == 0


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_was_sealed_to_an_identity(
    tmp_path: Path, identity: bytes, size: int
) -> None:
    """``age -d -i backup.key``; and what ``age -r`` seals opens here."""
    (tmp_path / "backup.key").write_bytes(identity)
    key = key_of(identity, "backup.key")
    data = _noise(size)
    assert _age(tmp_path, _sealed(key, data), "-d", "-i", "backup.key") == data
    recipient = identity.decode().split("public key: ")[1].split()[0]
    theirs = _age(tmp_path, data, "-r", recipient)
    assert _opened(key, theirs) == data


def _with_passphrase(tmp_path: Path, passphrase: str, *arguments: str) -> None:
    """Let the public program do what it asks a passphrase for on the terminal."""
    asked = 2 if "-p" in arguments else 1
    age = pexpect.spawn("age", list(arguments), cwd=tmp_path, timeout=60, use_poll=True)
    for _ in range(asked):
        age.expect(r"passphrase.*:")
        age.sendline(passphrase)
    age.expect(pexpect.EOF)
    age.close()
    assert age.exitstatus == 0, age.before


@pytest.mark.parametrize("size", [1, CHUNK, 200_000])
@pytest.mark.parametrize(
    "content",
    [b"correct horse battery staple\n", b"/+dGV4dA==\r\n", bytes(range(40)), b"two\nlines\n"],
)
def test_age_opens_what_a_key_file_sealed(tmp_path: Path, content: bytes, size: int) -> None:
    """With the passphrase typed that the rules of the page give for such a key file."""
    is_line = content.count(b"\n") == 1 and b"\0" not in content
    typed = content.strip() if is_line else base64.b64encode(content)
    data = _noise(size)
    (tmp_path / "x.age").write_bytes(_sealed(key_of(content, "backup.key"), data))
    _with_passphrase(tmp_path, typed.decode(), "-d", "-o", "x", "x.age")
    assert (tmp_path / "x").read_bytes() == data


def test_what_age_seals_with_a_passphrase_opens_here(tmp_path: Path) -> None:
    """With the work that age itself asks for."""
    data = _noise(200_000)
    (tmp_path / "x").write_bytes(data)
    _with_passphrase(tmp_path, "correct horse", "-p", "-o", "x.age", "x")
    assert _opened(_passphrase(), (tmp_path / "x.age").read_bytes()) == data
    with pytest.raises(KeyRefusedError):
        _opened(_passphrase(b"wrong"), (tmp_path / "x.age").read_bytes())


def test_by_default_a_guess_costs_what_it_costs_with_age() -> None:
    """2^18 rounds, as the header says."""
    sink = Sink()
    with sealing(_passphrase(), sink.write, SeededRandomness()):
        pass
    assert sink.data.split(b"\n")[1].endswith(b" 18")


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_keys(tmp_path: Path, kind: str) -> None:
    """A private key of ssh seals to its public key; the public one seals, and age opens it."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(tmp_path / "id")]
    subprocess.run(command, check=True)
    secret = key_of((tmp_path / "id").read_bytes(), "id")
    public = key_of((tmp_path / "id.pub").read_bytes(), "id.pub")
    for key in (secret, public):
        sealed = _sealed(key, b"data")
        assert _opened(secret, sealed) == b"data"
        assert _age(tmp_path, sealed, "-d", "-i", "id") == b"data"
    with pytest.raises(KeyRefusedError, match="seal and do not open"):
        _opened(public, _sealed(public, b"data"))


def test_several_recipients(identity: bytes) -> None:
    """Each of them opens it alone."""
    other = subprocess.run(["age-keygen"], check=True, capture_output=True).stdout
    public = [text.decode().split("public key: ")[1].split()[0] for text in (identity, other)]
    both = key_of(("# ours\n\n" + "\n".join(public) + "\n").encode(), "recipients.txt")
    sealed = _sealed(both, b"data")
    for secret in (identity, other):
        assert _opened(key_of(secret, "key"), sealed) == b"data"


def test_another_key_is_refused(identity: bytes) -> None:
    """With the exit code for keys, and a sentence that names the key file."""
    other = subprocess.run(["age-keygen"], check=True, capture_output=True).stdout
    mine, stranger = key_of(identity, "mine.key"), key_of(other, "other.key")
    typed = _passphrase()
    cases = [
        (mine, stranger, "does not open with the key file other.key"),
        (typed, _passphrase(b"wrong"), "does not open with the key file backup.key"),
        (typed, stranger, "sealed with a passphrase, and the key file other.key holds keys"),
        (mine, typed, "sealed with public keys, and the key file backup.key holds a passphrase"),
    ]
    for sealed_by, opened_by, why in cases:
        with pytest.raises(KeyRefusedError, match=why) as caught:
            _opened(opened_by, _sealed(sealed_by, b"data"))
        assert caught.value.exit_code == 12
        assert caught.value.hint
    assert _threads() == 0


@pytest.mark.parametrize("by_passphrase", [False, True])
def test_a_cut_anywhere_is_noticed(identity: bytes, by_passphrase: bool) -> None:  # noqa: FBT001 - which of two
    """Also between two chunks, where each one is whole."""
    key = _passphrase() if by_passphrase else key_of(identity, "k")
    sealed = _sealed(key, _noise(3 * CHUNK))
    begin = len(sealed) - 3 * (CHUNK + 16)
    cuts = [*range(0, begin + 1, 5), *(begin + n * (CHUNK + 16) for n in range(3))]
    for cut in [*cuts, begin + CHUNK, len(sealed) - 1]:
        with pytest.raises(DamageError):
            _opened(key, sealed[:cut])
    with pytest.raises(DamageError):
        _opened(key, sealed + b"x")


@pytest.mark.parametrize("by_passphrase", [False, True])
def test_a_change_anywhere_is_noticed(identity: bytes, by_passphrase: bool) -> None:  # noqa: FBT001 - which of two
    """In the header, the nonce, any chunk; chunks in another order; nothing unproven is given."""
    key = _passphrase() if by_passphrase else key_of(identity, "k")
    data = _noise(3 * CHUNK)
    sealed = _sealed(key, data)
    begin = len(sealed) - 3 * (CHUNK + 16)
    for at in [*range(0, begin, 3), begin + 5, begin + CHUNK + 100, len(sealed) - 1]:
        changed = bytearray(sealed)
        changed[at] ^= 1
        given = b""
        try:
            with unsealing(key, Chunks(bytes(changed))) as stream:
                while part := stream.read(1000):
                    given += part
        except (DamageError, KeyRefusedError):
            assert data.startswith(given)
        else:
            pytest.fail(f"byte {at}")
    first, second = begin, begin + CHUNK + 16
    third = second + CHUNK + 16
    swapped = sealed[:first] + sealed[second:third] + sealed[first:second] + sealed[third:]
    with pytest.raises(DamageError):
        _opened(key, swapped)


def test_what_is_not_sealed_is_damage() -> None:
    """With a sentence that says so."""
    for data in (b"", b"\x1f\x8b", b"age-encryption.org/v2\n" * 10):
        with pytest.raises(DamageError):
            _opened(_passphrase(), data)


def test_a_file_cannot_ask_for_any_amount_of_work() -> None:
    """The work of a passphrase is said by the file, and takes memory."""
    sealed = _sealed(_passphrase(), b"data")
    asking = sealed.replace(b" %d\n" % FAST, b" %d\n" % (MOST_WORK + 1))
    with pytest.raises(KeyRefusedError, match=r"2\^21"):
        _opened(_passphrase(), asking)
    for bad in (b" 04\n", b" 0\n", b" -4\n", b" 444\n"):
        with pytest.raises(DamageError):
            _opened(_passphrase(), sealed.replace(b" %d\n" % FAST, bad))


@pytest.mark.parametrize("by_passphrase", [False, True])
def test_memory_is_bounded(identity: bytes, by_passphrase: bool) -> None:  # noqa: FBT001 - which of two
    """A stream of any length takes the same, in both directions."""
    key = _passphrase() if by_passphrase else key_of(identity, "k")
    size = 64 << 20
    zeros = bytes(1 << 20)
    piece = Sink()
    with sealing(key, piece.write, SeededRandomness(), work_factor=FAST) as write:
        for _ in range(size >> 20):
            write(zeros)
    sealed = piece.data
    tracemalloc.start()
    try:
        with sealing(key, len, SeededRandomness(), work_factor=FAST) as write:
            for _ in range(size >> 20):
                write(zeros)
        read = 0
        with unsealing(key, Chunks(sealed)) as stream:
            while part := stream.read(1 << 16):
                read += len(part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read == size
    assert peak < 16 << 20


def _full(after: int) -> Callable[[Buffer], None]:
    left = [after]

    def write(data: Buffer) -> None:
        left[0] -= len(data)
        if left[0] < 0:
            raise OSError(28, "no space left on the disk")

    return write


@pytest.mark.parametrize("by_passphrase", [False, True])
@pytest.mark.parametrize("after", [0, 1000, 5_000_000, 11_999_000])
def test_errors_of_the_disk_rise_where_it_is_written(
    identity: bytes,
    by_passphrase: bool,  # noqa: FBT001 - which of two
    after: int,
) -> None:
    """At a write or at the end, as they are, and no thread stays."""
    key = _passphrase() if by_passphrase else key_of(identity, "k")
    with pytest.raises(OSError, match="no space left"):
        _sealed(key, bytes(12_000_000), _full(after))
    assert _threads() == 0


@pytest.mark.parametrize("by_passphrase", [False, True])
def test_an_error_of_the_writer_leaves_no_whole_file(identity: bytes, by_passphrase: bool) -> None:  # noqa: FBT001 - which of two
    """What was written until then does not open, and no thread stays."""
    key = _passphrase() if by_passphrase else key_of(identity, "k")
    sink = Sink()

    def broken() -> Iterable[bytes]:
        yield _noise(CHUNK * 2)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        _write_all(key, sink.write, broken())
    assert _threads() == 0
    with pytest.raises((DamageError, KeyRefusedError)):
        _opened(key, sink.data)


def _write_all(key: SealingKey, out: Write, pieces: Iterable[bytes]) -> None:
    with sealing(key, out, SeededRandomness(), work_factor=FAST) as write:
        for piece in pieces:
            write(piece)


class _Broken:
    """A ``Readable`` that fails in the middle."""

    def __init__(self, data: bytes) -> None:
        self._chunks = Chunks(data, 10_000)

    def read(self, size: int, /) -> bytes:
        data = self._chunks.read(size)
        if not data:
            raise OSError(5, "the disk reports an error")
        return data


@pytest.mark.parametrize("by_passphrase", [False, True])
def test_errors_of_the_stream_rise_as_they_are(identity: bytes, by_passphrase: bool) -> None:  # noqa: FBT001 - which of two
    """Not as damage: the bytes may be well."""
    key = _passphrase() if by_passphrase else key_of(identity, "k")
    sealed = _sealed(key, _noise(300_000))
    with (
        pytest.raises(OSError, match="the disk reports an error"),
        unsealing(key, _Broken(sealed[:200_000])) as stream,
    ):
        _all_of(stream)
    assert _threads() == 0


def test_a_reader_may_leave_early(identity: bytes) -> None:
    """The thread ends with it, however much was waiting."""
    key = key_of(identity, "k")
    sealed = _sealed(key, bytes(20 << 20))
    with unsealing(key, Chunks(sealed)) as stream:
        assert stream.read(10) == bytes(10)
    assert _threads() == 0
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)


def test_a_channel_says_that_the_other_side_is_gone() -> None:
    """Nobody waits for somebody who has given up."""
    channel = Channel(10)
    channel.put(b"x" * 10)
    threading.Timer(0.05, channel.abandon).start()
    with pytest.raises(Abandoned):
        channel.put(b"y")
    with pytest.raises(Abandoned):
        channel.read(1)


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b" spaces count \n", b" spaces count "),
        ("gr\u00fc\u00dfe\n".encode(), "gr\u00fc\u00dfe".encode()),
        (b"a\nb\n", base64.b64encode(b"a\nb\n")),
        (b"secret\n\n", base64.b64encode(b"secret\n\n")),
        (b"tab\there", base64.b64encode(b"tab\there")),
        (b"\xff\xfe", base64.b64encode(b"\xff\xfe")),
        (b"\0" * 32, base64.b64encode(b"\0" * 32)),
        (b"age1 is no recipient", b"age1 is no recipient"),
        (b"# a comment", b"# a comment"),
    ],
)
def test_which_passphrase_a_key_file_is(content: bytes, passphrase: bytes) -> None:
    """The rules of the page, so that it can be typed for age."""
    assert key_of(content, "k").passphrase == passphrase


def test_key_files_that_cannot_be_meant(tmp_path: Path, identity: bytes) -> None:
    """A key file that is nearly one is never taken for a passphrase; secrets are not shown."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "id"], check=True
    )
    secret = identity.decode().splitlines()[-1]
    cases = [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (secret[:-1].encode(), "k:1 is no key of age"),
        (identity + b"something else\n", "k:4 is no key of age"),
        (b"AGE-PLUGIN-YUBIKEY-1XXX\n", "k:1 is no key of age"),
        (b"age1" + b"q" * 58, "k:1 is no key of age"),
        (b"ssh-ed25519 AAAA\n", "k:1 is no key of age"),
        (b"age-encryption.org/v1\n-> X25519 abc\n", "is itself sealed"),
        ((tmp_path / "id").read_bytes(), "needs a passphrase itself"),
    ]
    for content, why in cases:
        with pytest.raises(UsageError, match=why) as caught:
            key_of(content, "k")
        assert caught.value.hint
        assert secret[:-1] not in caught.value.message + repr(caught.value.__context__)


def test_who_can_read_a_key_file() -> None:
    """A warning for the person whose key it is."""
    assert warning_of(0o100600, "k") == warning_of(0o100400, "k") == ""
    assert (
        warning_of(0o100644, "k")
        == "everybody on this machine can read the key file k: chmod 600 k"
    )
    assert warning_of(0o100640, "k").startswith("the group of its owner can read")
