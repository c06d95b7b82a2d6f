"""What a key file is to age: identities, recipients or a passphrase; ``docs/archive-format.md``."""

from __future__ import annotations

import base64
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pyrage
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)

from strongroom.errors import UsageError

AGE_HEAD: Final = b"age-encryption.org/v1\n"
_SECRET: Final = ("AGE-SECRET-KEY-", "AGE-PLUGIN-")
_RECIPIENT: Final = re.compile(r"age1[0-9a-z]{20,}|ssh-(?:ed25519|rsa) ", re.ASCII)
_SSH_SECRET: Final = "-----BEGIN OPENSSH PRIVATE KEY-----"  # noqa: S105 - what it begins with
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class SealingKey:
    """What archives are sealed to and opened with; ``origin`` names it in messages.

    Either ``passphrase``, or ``recipients`` and, where it can open, ``identities`` (of pyrage).
    """

    origin: str
    passphrase: bytes = b""
    recipients: tuple[Any, ...] = ()
    identities: tuple[Any, ...] = ()


def key_of(data: bytes, origin: str) -> SealingKey:
    """Return what the bytes of a key file mean; ``UsageError`` if they cannot be meant.

    * Lines ``AGE-SECRET-KEY-1…``, or an OpenSSH private key: seals to their own public keys.
    * Lines ``age1…``, ``ssh-ed25519 …`` or ``ssh-rsa …``: seals to them, opens nothing.
    * One line of text: that is a passphrase, without the end of the line.
    * Anything else: the standard base64 of all its bytes, in one line, is a passphrase.
    """
    if data.startswith(AGE_HEAD):
        raise UsageError(
            f"the key file {origin} is itself sealed with age",
            hint="Open it with 'age -d' into a file that only you can read, and use that one.",
        )
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _passphrase(data, origin)
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if any(line.startswith(_SECRET) for _, line in lines):
        secrets = _each(lines, origin, pyrage.x25519.Identity.from_str)
        publics = tuple(secret.to_public() for secret in secrets)
        return SealingKey(origin, recipients=publics, identities=secrets)
    if text.lstrip().startswith(_SSH_SECRET):
        return _ssh_key(data, origin)
    if any(_RECIPIENT.match(line) for _, line in lines):
        return SealingKey(origin, recipients=_each(lines, origin, _recipient))
    return _passphrase(data, origin)


def warning_of(mode: int, origin: str) -> str:
    """Return what to warn of if others may read a key file of that mode; empty if they may not."""
    if not mode & (stat.S_IRGRP | stat.S_IROTH):
        return ""
    who = "everybody on this machine" if mode & stat.S_IROTH else "the group of its owner"
    return f"{who} can read the key file {origin}: chmod 600 {origin}"


def _recipient(line: str) -> Any:  # noqa: ANN401 - the library has no common type
    parse = pyrage.ssh.Recipient.from_str
    if line.startswith("age1"):
        parse = pyrage.x25519.Recipient.from_str
    return parse(line)


def _each(
    lines: list[tuple[int, str]], origin: str, parse: Callable[[str], Any]
) -> tuple[Any, ...]:
    found = []
    for number, line in lines:
        try:
            found.append(parse(line))
        except (pyrage.IdentityError, pyrage.RecipientError) as error:  # must not show the line
            raise UsageError(
                f"{origin}:{number} is no key of age that can be used here: {error}",
                hint="Keys of 'age-keygen' and keys of ssh are known; those of plugins are not.",
            ) from None
    return tuple(found)


def _ssh_key(data: bytes, origin: str) -> SealingKey:
    """Take an OpenSSH private key, and its public key as the recipient."""
    try:
        public = load_ssh_private_key(data, None).public_key()
        line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        recipient = pyrage.ssh.Recipient.from_str(line)
        identity = pyrage.ssh.Identity.from_buffer(data)
    except (
        *(ValueError, TypeError, UnsupportedAlgorithm),
        *(pyrage.IdentityError, pyrage.RecipientError),
    ):
        raise UsageError(
            f"the ssh key in {origin} cannot be used: it needs a passphrase itself, "
            "is damaged, or of a kind that age does not know",
            hint="Use an ssh-ed25519 or ssh-rsa key without a passphrase, or one of 'age-keygen'.",
        ) from None
    return SealingKey(origin, recipients=(recipient,), identities=(identity,))


def _passphrase(data: bytes, origin: str) -> SealingKey:
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    if not line.strip():
        raise UsageError(
            f"the key file {origin} is empty",
            hint=f"Make a key: age-keygen -o {origin}, or openssl rand -base64 32 > {origin}",
        )
    try:
        is_line = not _CONTROLS.search(line.decode())
    except UnicodeDecodeError:
        is_line = False
    return SealingKey(origin, passphrase=line if is_line else base64.b64encode(data))
