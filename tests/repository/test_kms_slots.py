"""Slots that KMS opens: by real boto3, against a KMS of our own that has states and contexts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import pytest

from strongroom.aws.account import Account
from strongroom.aws.kms import Kms
from strongroom.crypto.keytext import text_to_key
from strongroom.errors import KeyRefusedError, RefusedError, StoreError, UsageError
from strongroom.model.store import Store
from strongroom.operations.keys import add_key, dependence, list_keys, remove_key, replace_key
from strongroom.repository import layout
from strongroom.repository.kmsslot import KmsSecret, context_of
from strongroom.repository.opening import read_config, read_slot
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.slots import Secret, UnreadableSlotError, open_slot
from strongroom.storage.memory import MemoryStore
from tests.support.aws import CREDENTIALS
from tests.support.kit import SECRET, Kit
from tests.support.kms import ELSEWHERE, HERE, FakeKey, FakeKms, running_kms

pytestmark = [pytest.mark.spec("B3"), pytest.mark.spec("D3")]

FILES = {b"a": b"text"}


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[FakeKms]:
    with running_kms() as kms:
        yield kms


@pytest.fixture(name="kms")
def _kms(server: FakeKms, monkeypatch: pytest.MonkeyPatch) -> FakeKms:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for part in (server.keys, server.aliases, server.denied, server.failing, server.calls):
        part.clear()
    return server


@pytest.fixture(name="key")
def _key(kms: FakeKms) -> FakeKey:
    return kms.add("first")


@cache
def _service(account: Account) -> Kms:
    return Kms(account, attempts=1)


def by(kms: FakeKms, key: str = "") -> KmsSecret:
    """Return what opens with this server, and what makes a slot if a key is named."""
    return KmsSecret(_service(kms.account), key)


def host(store: Store, folder: Path, secret: Secret | KmsSecret) -> Kit:
    """Return a host that has never been there."""
    kit = Kit(store, folder)
    kit.secrets = [secret]
    return kit


@pytest.fixture(name="made")
def _made(kms: FakeKms, key: FakeKey, tmp_path: Path) -> tuple[Kit, Secret]:
    """Return a host with a repository that ``key`` opens, and its recovery key."""
    kit = Kit(MemoryStore(), tmp_path / "first host")
    recovery = kit.init(by(kms, key.arn)).created.recovery_key
    kit.secrets = [by(kms)]
    return kit, Secret(SlotKind.RECOVERY, text_to_key(recovery))


def test_one_call_opens_it_and_its_context_names_the_slot_alone(
    made: tuple[Kit, Secret], kms: FakeKms, key: FakeKey
) -> None:
    """Everything works with it; init asks for the key once and tries it once; opening asks once.

    The context is the repository's and the slot's id, and nothing that is secret.
    """
    kit, _ = made
    assert [call[0] for call in kms.calls] == ["GenerateDataKey", "Decrypt"]
    kms.calls.clear()
    repository = kit.open()
    opened = repository.keyring.opened_by
    assert opened is not None
    assert kms.calls == [("Decrypt", HERE, context_of(repository.id, opened))]
    snapshot = kit.backup(FILES).snapshot
    assert kit.restore(snapshot.id)[1] == FILES
    info = list_keys(kit.open()).keys[0]
    assert info.kms is not None
    assert (info.kind, info.kms.arn, info.kms.region) == (SlotKind.KMS, key.arn, HERE)


def test_an_alias_is_resolved_once_and_the_key_recorded(
    made: tuple[Kit, Secret], kms: FakeKms, tmp_path: Path
) -> None:
    """Whoever points the alias elsewhere later changes nothing."""
    kit, _ = made
    meant = kms.add("meant")
    kms.point("backup", meant)
    add_key(kit.open(), by(kms, "alias/backup"), SlotRole.FULL)
    kms.point("backup", kms.add("other"))
    assert [one.kms.arn for one in list_keys(kit.open()).keys if one.kms][1] == meant.arn
    kms.deny("Decrypt", kms.keys[meant.arn.replace("meant", "first")])
    assert host(kit.store, tmp_path / "other", by(kms)).open().keyring.is_full


STATES: dict[str, tuple[Callable[[FakeKms, FakeKey], object], int, str, str]] = {
    "disabled": (
        lambda _kms, key: setattr(key, "state", "Disabled"), 12, "is disabled",
        "aws kms enable-key --key-id first --region eu-west-2",
    ),
    "pending deletion": (
        lambda _kms, key: setattr(key, "state", "pending deletion"), 12, "is to be deleted",
        "aws kms cancel-key-deletion --key-id first --region eu-west-2",
    ),
    "another state": (
        lambda _kms, key: setattr(key, "state", "pending import"), 12, "the state it is in",
        "aws kms describe-key --key-id first",
    ),
    "denied": (
        lambda kms, key: kms.deny("Decrypt", key), 12, "may not be used", "kms:Decrypt",
    ),
    "gone": (lambda kms, _key: kms.keys.clear(), 12, "is not there", "describe-key"),
    "other material": (
        lambda _kms, key: setattr(key, "material", bytes(32)), 12, "another repository or slot",
        "verify",
    ),
    "down": (
        lambda kms, _key: kms.failing.update({HERE: "KMSInternalException"}), 13,
        "cannot serve", "again later",
    ),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_every_no_is_named_with_the_way_back(
    made: tuple[Kit, Secret], kms: FakeKms, key: FakeKey, state: str, tmp_path: Path
) -> None:
    """The exit code is that of a refused key, or of a service that is away; the recovery key alone
    opens the repository meanwhile.
    """
    kit, recovery = made
    snapshot = kit.backup(FILES).snapshot
    change, code, says, hint = STATES[state]
    change(kms, key)
    with pytest.raises((KeyRefusedError, StoreError), match=says) as refused:
        kit.open()
    assert refused.value.code == code
    assert key.arn in refused.value.message
    assert hint in refused.value.hint
    assert "recovery key" in refused.value.hint
    assert host(kit.store, tmp_path / "stranger", recovery).restore(snapshot.id)[1] == FILES


def test_nobody_answers(made: tuple[Kit, Secret], kms: FakeKms) -> None:
    """A network that is cut is exit 13, and says which region was asked."""
    kit, _ = made
    nowhere = replace(kms.account, endpoint="http://127.0.0.1:1")
    away = KmsSecret(Kms(nowhere, attempts=1))
    kit.secrets = [away]
    with pytest.raises(StoreError, match=f"KMS in {HERE}") as refused:
        kit.open()
    assert refused.value.code == 13


def test_a_second_region_opens_it_when_the_first_is_refused(
    made: tuple[Kit, Secret], kms: FakeKms, key: FakeKey
) -> None:
    """One after the other is asked, each in its own region; why the first did not is told."""
    kit, _ = made
    kit.clock.sleep(60)
    add_key(kit.open(), by(kms, kms.add("second", ELSEWHERE).arn), SlotRole.FULL)
    kms.calls.clear()
    key.state = "Disabled"
    kit.events.clear()
    assert kit.open().keyring.is_full
    assert [call[1] for call in kms.calls] == [HERE, ELSEWHERE]
    assert any("is disabled" in str(event) and "enable-key" in str(event) for event in kit.events)
    kms.failing[ELSEWHERE] = "KeyUnavailableException"
    with pytest.raises(StoreError, match=r"is disabled.*cannot serve"):
        kit.open()


def test_a_multi_region_key_opens_it_in_the_other_region(kms: FakeKms, tmp_path: Path) -> None:
    """Where its own region is away, the replica in the region of the account is asked."""
    there = kms.add("mrk-one", ELSEWHERE)
    kms.add("mrk-one", HERE)
    kit = Kit(MemoryStore(), tmp_path)
    kit.init(by(kms, there.arn))
    kit.secrets = [by(kms)]
    kms.failing[ELSEWHERE] = "KMSInternalException"
    assert kit.open().keyring.is_full
    kms.failing[HERE] = "KMSInternalException"
    with pytest.raises(StoreError, match=f"{ELSEWHERE}.*{HERE}"):
        kit.open()


def test_a_slot_says_nothing_that_is_not_its_own(made: tuple[Kit, Secret], kms: FakeKms) -> None:
    """Another context, no ARN, too long a key: refused before KMS is asked."""
    kit, _ = made
    config = read_config(kit.store)
    slot_id = next(iter(config.slots))
    slot = read_slot(kit.store, config, slot_id)
    arn, wrapped, context = slot.parameters
    assert isinstance(context, tuple)
    kms.calls.clear()
    for parameters in (
        (arn, wrapped, context[:3]),
        (arn, wrapped, (*context, (b"x", b"y"))),
        (b"alias/backup", wrapped, context),
        (arn, b"", context),
        (arn, bytes(6145), context),
        (arn, wrapped),
        (1, 2, 3),
    ):
        changed = msgspec.structs.replace(slot, parameters=parameters)
        with pytest.raises(UnreadableSlotError, match="KMS"):
            open_slot(slot_id, changed, by(kms), config.owner)
    with pytest.raises(UnreadableSlotError):
        open_slot(bytes(16), slot, by(kms), config.owner)
    assert kms.calls == []


def test_who_cannot_unwrap_makes_nothing(kms: FakeKms, key: FakeKey, tmp_path: Path) -> None:
    """A role that may wrap and not unwrap is refused by init and by add, before anything counts."""
    kms.deny("Decrypt", key)
    kit = Kit(MemoryStore(), tmp_path)
    with pytest.raises(KeyRefusedError, match="may not be used"):
        kit.init(by(kms, key.arn))
    assert list(kit.store.list("")) == []
    kit.init()
    with pytest.raises(KeyRefusedError, match="may not be used"):
        add_key(kit.open(), by(kms, key.arn), SlotRole.FULL)
    assert [one.kind for one in list_keys(kit.open()).keys] == [
        SlotKind.KEY_FILE,
        SlotKind.RECOVERY,
    ]


def test_a_key_that_does_not_fit_is_refused(made: tuple[Kit, Secret], kms: FakeKms) -> None:
    """One that opens it already, one that signs, one that is nowhere, an alias of no region."""
    kit, _ = made
    before = {info.key for info in kit.store.list("")}
    with pytest.raises(RefusedError, match="already"):
        add_key(kit.open(), by(kms, "first"), SlotRole.FULL)
    kms.add("signs").usage = "SIGN_VERIFY"
    for name, says in (("signs", "not one that encrypts"), ("alias/nowhere", "is not there")):
        with pytest.raises(KeyRefusedError, match=says):
            add_key(kit.open(), by(kms, name), SlotRole.FULL)
    nowhere = KmsSecret(Kms(replace(kms.account, region="")), "alias/x")
    with pytest.raises(UsageError, match="region"):
        add_key(kit.open(), nowhere, SlotRole.FULL)
    assert {info.key for info in kit.store.list("")} == before


def test_another_key_takes_the_place_of_one(
    made: tuple[Kit, Secret], kms: FakeKms, key: FakeKey
) -> None:
    """Even of the one that opened the repository: the new one was opened before the old one goes.

    It wraps a key of its own, so the old KMS key is good for nothing that comes later.
    """
    kit, _ = made
    old = list_keys(kit.open()).keys[0].id
    second = kms.add("second")
    new, removed = replace_key(kit.open(), old[:8], by(kms, second.arn))
    assert (removed.slot_id.hex(), removed.kept) == (old, "")
    del kms.keys[key.arn]
    keys = list_keys(kit.open()).keys
    assert {one.id for one in keys if one.kms} == {new}
    assert kit.verify().damage == []
    recovery = next(one.id for one in keys if one.kind is SlotKind.RECOVERY)
    with pytest.raises(RefusedError, match="not opened by KMS"):
        replace_key(kit.open(), recovery, by(kms, kms.add("third").arn))
    with pytest.raises(RefusedError, match="already"):
        replace_key(kit.open(), new, by(kms, second.arn))


def test_a_replacement_that_stopped_is_gone_on_with(made: tuple[Kit, Secret], kms: FakeKms) -> None:
    """The new slot is there and the old one too: the same command removes the old one."""
    kit, _ = made
    old = list_keys(kit.open()).keys[0].id
    second = kms.add("second")
    added = add_key(kit.open(), by(kms, second.arn), SlotRole.FULL)
    new, removed = replace_key(kit.open(), old, by(kms, second.arn))
    assert (new, removed.slot_id.hex()) == (added, old)
    assert len([one for one in list_keys(kit.open()).keys if one.kms]) == 1


def test_what_alone_decides_is_told(made: tuple[Kit, Secret], kms: FakeKms, key: FakeKey) -> None:
    """One KMS key, one account: as long as no full key of another kind is there."""
    kit, _ = made
    assert dependence(list_keys(kit.open()).keys) == ""
    recovery = next(k.id for k in list_keys(kit.open()).keys if k.kind is SlotKind.RECOVERY)
    remove_key(kit.open(), recovery)
    assert dependence(list_keys(kit.open()).keys) == f"the KMS key {key.arn}"
    add_key(kit.open(), by(kms, kms.add("second", ELSEWHERE).arn), SlotRole.FULL)
    assert dependence(list_keys(kit.open()).keys) == "the AWS account 111122223333"
    add_key(kit.open(), SECRET, SlotRole.READER)
    assert dependence(list_keys(kit.open()).keys) == "the AWS account 111122223333"


def test_nothing_that_is_shown_holds_a_secret(made: tuple[Kit, Secret], kms: FakeKms) -> None:
    """Neither what opens it nor the answer of the service; and the store has no key in clear."""
    kit, _ = made
    wrapped = by(kms).service.make("first", {"a": "b"})
    assert wrapped.plain.hex() not in repr(wrapped)
    assert repr(wrapped.plain)[2:-1] not in repr(wrapped)
    slot = kit.store.get(next(info.key for info in kit.store.list(layout.SLOTS)))
    assert wrapped.plain not in slot
