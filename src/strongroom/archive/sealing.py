"""Sealing archives with age, as a stream: what comes out is what ``age -d`` opens.

Public keys go through pyrage, which pulls from a file and pushes into one; so it works in a thread
of its own, between the stream and a bounded channel. Passphrases are our own (``passphrase``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final

import pyrage

from strongroom.archive.channel import Abandoned, Channel
from strongroom.archive.codecs import Write
from strongroom.archive.keyfile import AGE_HEAD, SealingKey
from strongroom.archive.passphrase import (
    STANZA,
    WORK_FACTOR,
    PassphraseReader,
    PassphraseWriter,
)
from strongroom.archive.tarinput import Readable
from strongroom.errors import DamageError, KeyRefusedError, StrongroomError
from strongroom.model.fs import Buffer
from strongroom.model.randomness import Randomness

SUFFIX: Final = ".age"
_GATHER: Final = 256 * 1024
_PASSPHRASE_HEAD: Final = AGE_HEAD + STANZA
_NO_KEY: Final = "No matching keys found"


def is_sealed(head: bytes) -> bool:
    """Whether a file that begins so is sealed with age."""
    return head.startswith(AGE_HEAD)


@contextmanager
def sealing(
    key: SealingKey, out: Write, randomness: Randomness, *, work_factor: int = WORK_FACTOR
) -> Iterator[Write]:
    """Give a writer whose bytes reach ``out`` sealed, the last of them at the end of the block.

    After an error within the block the file is left without its end, and no thread stays. Errors
    of ``out`` rise where it is written, or at the end.
    """
    if key.passphrase:
        writer = PassphraseWriter(key.passphrase, out, randomness, work_factor=work_factor)
        yield writer.write
        writer.finish()
    else:
        with _sealing_to(key, out) as write:
            yield write


@contextmanager
def unsealing(key: SealingKey, stream: Readable) -> Iterator[Readable]:
    """Give a stream of what ``stream`` holds sealed.

    ``KeyRefusedError`` if the key does not open it, here or at the first read; ``DamageError`` when
    something read is not what was sealed. Nothing is given that was not proven.
    """
    head = _head(stream)
    again = _Prefixed(head, stream)
    if not is_sealed(head) or len(head) < len(_PASSPHRASE_HEAD):
        raise DamageError(
            "this is no archive that was sealed with age, or hardly its beginning",
            hint="Use another backup.",
        )
    by_passphrase = head.startswith(_PASSPHRASE_HEAD)
    if by_passphrase != bool(key.passphrase):
        how = "a passphrase" if by_passphrase else "public keys"
        has = "a passphrase" if key.passphrase else "keys of age"
        raise KeyRefusedError(
            f"the archive is sealed with {how}, and the key file {key.origin} holds {has}",
            hint="Give the key file that it was sealed with, or the identity that belongs to it.",
        )
    if key.passphrase:
        yield PassphraseReader(key.passphrase, again, key.origin)
    elif not key.identities:
        raise KeyRefusedError(
            f"the key file {key.origin} holds public keys only, which seal and do not open",
            hint="Give the file with the secret key (AGE-SECRET-KEY-1…, or the ssh private key).",
        )
    else:
        with _unsealing_by(key, again) as opened:
            yield opened


def _head(stream: Readable) -> bytes:
    head = b""
    while len(head) < len(_PASSPHRASE_HEAD):
        part = stream.read(len(_PASSPHRASE_HEAD) - len(head))
        if not part:
            break
        head += part
    return head


class _Prefixed:
    """A ``Readable`` with something before it that was read already."""

    def __init__(self, first: bytes, stream: Readable) -> None:
        self._first = first
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        if self._first:
            data, self._first = self._first[:size], self._first[size:]
            return data
        return self._stream.read(size)


# -- public keys: the library works in a thread of its own


class _Work:
    """A thread that does one thing; ``failure`` is what it ended with instead."""

    def __init__(self, act: Callable[[], None], channel: Channel) -> None:
        self.failure: BaseException | None = None
        self._act = act
        self._channel = channel
        self._thread = Thread(target=self._run, name="age")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._act()
        except BaseException as error:  # noqa: BLE001 - it rises in the other thread
            self.failure = error
            self._channel.abandon()

    def join(self) -> None:
        self._thread.join()


class _Input:
    """What the library reads; it makes a text of every error, so the error itself is kept."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.failure: BaseException | None = None

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except BaseException as error:
            self.failure = error
            raise


class _Output:
    """What the library writes, in larger pieces; it does not flush at the end."""

    def __init__(self, out: Callable[[bytes], object]) -> None:
        self._out = out
        self._parts: list[bytes] = []
        self._held = 0
        self.failure: BaseException | None = None

    def write(self, data: bytes) -> int:
        self._parts.append(data)
        self._held += len(data)
        if self._held >= _GATHER:
            self.hand_on()
        return len(data)

    def flush(self) -> None:
        """Nothing is to be seen before there is a piece of it."""

    def hand_on(self) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        self._held = 0
        try:
            self._out(data)
        except BaseException as error:
            self.failure = error
            raise


@contextmanager
def _sealing_to(key: SealingKey, out: Write) -> Iterator[Write]:
    channel = Channel()
    output = _Output(out)

    def act() -> None:
        pyrage.encrypt_io(channel, output, list(key.recipients))
        output.hand_on()

    work = _Work(act, channel)

    def write(data: Buffer) -> None:
        try:
            channel.put(bytes(data))
        except Abandoned:
            work.join()
            raise _why_not_sealed(work, output) from work.failure

    try:
        yield write
        channel.end()
    except BaseException:
        channel.abandon()
        raise
    finally:
        work.join()
    if work.failure is not None:
        raise _why_not_sealed(work, output) from work.failure


def _why_not_sealed(work: _Work, output: _Output) -> BaseException:
    return output.failure or StrongroomError(f"the archive cannot be sealed: {work.failure}")


@contextmanager
def _unsealing_by(key: SealingKey, stream: Readable) -> Iterator[Readable]:
    channel = Channel()
    source = _Input(stream)
    output = _Output(channel.put)

    def act() -> None:
        pyrage.decrypt_io(source, output, list(key.identities))
        output.hand_on()
        channel.end()

    work = _Work(act, channel)
    try:
        yield _Opened(channel, work, source, key)
    finally:
        channel.abandon()
        work.join()


class _Opened:
    """The ``Readable`` at the other end of the channel."""

    def __init__(self, channel: Channel, work: _Work, source: _Input, key: SealingKey) -> None:
        self._channel = channel
        self._work = work
        self._source = source
        self._key = key

    def read(self, size: int, /) -> bytes:
        try:
            return self._channel.read(size)
        except Abandoned:
            self._work.join()
            raise self._why() from self._work.failure

    def _why(self) -> BaseException:
        failure = self._work.failure
        if self._source.failure is not None:
            return self._source.failure
        if isinstance(failure, pyrage.DecryptError) and _NO_KEY in str(failure):
            return KeyRefusedError(
                f"the archive does not open with the key file {self._key.origin}",
                hint="It was sealed to other public keys.",
            )
        if isinstance(failure, pyrage.DecryptError | OSError):
            return DamageError(
                f"the sealed archive is damaged, cut off or was changed: {failure}",
                hint="Use another backup.",
            )
        if failure is None or isinstance(failure, Abandoned):
            return ValueError("the stream is closed")
        return failure
