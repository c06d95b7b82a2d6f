"""From the configuration, and the repository that it names, to the policies that IAM takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.app.addresses import address_of, place_used
from strongroom.app.environments import FULL, meant_by
from strongroom.app.folders import cache_of, state_of
from strongroom.app.machine import Run
from strongroom.app.secrets import given_agent, stated_kms_key
from strongroom.app.stores import opened_store
from strongroom.app.unlocking import known_config
from strongroom.aws.account import Account
from strongroom.aws.clients import Clients
from strongroom.aws.policies import repository as policies
from strongroom.aws.policies import sources, targets
from strongroom.aws.policies.statements import Document, Place, Statement, document, place_of
from strongroom.config.documents import DocumentsSettings
from strongroom.config.environments import environment_of
from strongroom.config.places import SecretKind
from strongroom.config.postgres import PostgresSettings
from strongroom.config.references import SecretReference
from strongroom.config.settings import Settings
from strongroom.errors import DamageError, RefusedError, StoreError, StrongroomError, UsageError
from strongroom.model.store import Store
from strongroom.repository import layout
from strongroom.repository.keyring import WriterKeys
from strongroom.repository.kmsslot import context_of, kms_parameters, parse_arn
from strongroom.repository.opening import OpenedConfig, read_slot
from strongroom.repository.records import SlotKind
from strongroom.repository.slotset import with_orders

AGENT: Final = "agent"
RESTORE: Final = "restore"
MAINTAINER: Final = "maintainer"
SOURCE: Final = "source"
TARGET: Final = "target"
_READABLE: Final = (layout.CONFIG, *(one for one in layout.PREFIXES if one != layout.SLOTS))
_NOBODY: Final = bytes(layout.ID_SIZE)
_OF_ALL_SLOTS: Final = ("app", "repository")  # what the context says of each slot of a repository


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRequest:
    """Whose policy: a role; ``source``: of which sources, empty for all.

    ``sealed``: the bucket of the repository encrypts by a key of KMS. ``keys``: ARNs of further
    keys of KMS that open the repository, or will.
    """

    role: str
    source: str = ""
    sealed: bool = False
    keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """What a repository says of itself without a key: the ARNs of its keys of KMS, its id."""

    keys: tuple[str, ...] = ()
    repository_id: bytes = b""


def policy_of(run: Run, request: PolicyRequest) -> Document:
    """Return what a role needs; ``UsageError`` where nothing says of what."""
    if request.role in {SOURCE, TARGET}:
        return document(_sources(run.settings, request.source, writes=request.role == TARGET))
    if request.source:
        raise UsageError(
            f"a policy for {request.role} is of a repository, not of '{request.source}'",
            hint="Name the repository with -r; a source goes with --role source and --role target.",
        )
    return document(_of_repository(run, request))


def _of_repository(run: Run, request: PolicyRequest) -> Iterator[Statement]:
    where = place_used(run)
    address = address_of(where)
    if address.scheme != "s3":
        raise UsageError(
            f"{where.url} is no bucket, so there is nothing that IAM could allow",
            hint="Name a repository in S3: -r s3://BUCKET/PREFIX.",
        )
    place = _place(where.account)
    writer, domain = _agent_of(run) if request.role == AGENT else (_NOBODY, _NOBODY)
    known = _Known() if request.role == AGENT else _known(run, request.keys)
    context = context_of(known.repository_id, _NOBODY)
    bound = _OF_ALL_SLOTS if known.repository_id else _OF_ALL_SLOTS[:1]
    one = policies.Repository(
        place=place,
        bucket=address.bucket,
        prefix=address.prefix,
        sealed=request.sealed,
        keys=known.keys,
        context={name: context[name] for name in bound},
    )
    if request.role == AGENT:
        yield from policies.agent(one, _READABLE, _own(writer, domain))
        return
    yield from (policies.restore if request.role == RESTORE else policies.maintainer)(one)
    for secret in run.settings.secrets:
        if secret.kind is SecretKind.PASSPHRASE_IN_AWS and secret.reference is not None:
            yield from _value(place, secret.reference)


def _own(writer: bytes, domain: bytes) -> list[str]:
    """Return what an agent puts: what is named by its content, and what is below its own names."""
    return [
        layout.PACKS,
        layout.INDEX,
        f"{layout.SESSIONS}{writer.hex()}/",
        f"{layout.COMMITS}{writer.hex()}/",
        f"{layout.WAL}{domain.hex()}/",
    ]


def _agent_of(run: Run) -> tuple[bytes, bytes]:
    """Return the writer and the domain of the agent whose file is given; ``UsageError``."""
    agent = given_agent(run)
    if agent is None:
        raise UsageError(
            "nothing says which agent the policy is for",
            hint="Give its file: --key-file FILE. 'strongroom key export-agent' makes it.",
        )
    return WriterKeys(agent.file.writer_seed).id, agent.file.domain_id


def _known(run: Run, given: Sequence[str]) -> _Known:
    """Ask the repository for its id and its keys; without it, what else says of them."""
    for text in given:
        if parse_arn(text) is None:
            raise UsageError(
                f"{text} is no ARN of a key of KMS",
                hint="IAM knows keys by their ARN: aws kms describe-key --key-id NAME.",
            )
    stated = stated_kms_key(run)
    configured = stated.setting.value if stated is not None else ""
    arns = [*given, *([configured] if parse_arn(configured) is not None else [])]
    try:
        with opened_store(run) as opened:
            config = known_config(opened.store, state_of(run))
            arns += _keys_of(run, opened.store, config)
            return _Known(tuple(dict.fromkeys(arns)), config.repository_id)
    except RefusedError:
        raise
    except StrongroomError as error:
        run.warn(
            "the repository could not be read, so the policy knows neither its id nor its keys of "
            f"KMS, but only those that are named: {error.message}"
        )
        return _Known(tuple(arns))


def _keys_of(run: Run, store: Store, config: OpenedConfig) -> Iterator[str]:
    """Yield the ARNs of the keys of KMS that open a repository."""
    cache = cache_of(run, config.repository_id)
    config = with_orders(store, config, cache, lambda _key, error: run.warn(error.message))
    for slot_id in config.slots:
        try:
            slot = read_slot(store, config, slot_id)
        except (DamageError, StoreError) as error:
            run.warn(f"{error.message}, ignored")
            continue
        if slot.kind == SlotKind.KMS:
            found = kms_parameters(config.repository_id, slot_id, slot)
            if found is not None:
                yield found.key.arn


def _sources(settings: Settings, wanted: str, *, writes: bool) -> Iterator[Statement]:
    """Yield what reading the sources takes that AWS has, or restoring them; ``UsageError``."""
    names = _names(settings, wanted)
    of = _target if writes else _source
    found = [one for name in names for one in of(settings, name)]
    if not found:
        what = f"'{wanted}' is nothing" if wanted else "no source of the configuration is something"
        verb = "is restored into" if writes else "is read from"
        more = "" if writes else ", and databases in RDS or with a password that AWS keeps"
        raise UsageError(
            f"{what} that {verb} AWS",
            hint=f"Sources in AWS are those of type s3 and aws-config{more}.",
        )
    yield from found


def _names(settings: Settings, wanted: str) -> list[str]:
    if wanted in settings.environments:
        return list(meant_by(settings, [wanted, FULL]).names)
    every = [*settings.documents, *settings.configurations, *settings.databases]
    if not wanted:
        return every
    if wanted not in every:
        settings.source(wanted)  # which says what is there instead
    return [wanted]


def _source(settings: Settings, name: str) -> Iterator[Statement]:
    place = _place(settings.account_in(environment_of(name)))
    if name in settings.documents:
        yield from sources.documents(place, _documents(settings.documents[name]))
    if name in settings.configurations:
        stated = settings.configurations[name]
        yield from sources.parameters(place, stated.ssm_parameters)
        yield from sources.secrets(place, stated.secrets)
        yield from sources.stacks(place, stated.cloudformation)
    if name in settings.databases:
        yield from _database(place, settings.databases[name])


def _target(settings: Settings, name: str) -> Iterator[Statement]:
    place = _place(settings.account_in(environment_of(name)))
    if name in settings.documents:
        yield from targets.documents(place, _documents(settings.documents[name]))
    if name in settings.configurations:
        stated = settings.configurations[name]
        yield from targets.parameters(place, stated.ssm_parameters)
        yield from targets.secrets(place, stated.secrets)


def _documents(stated: DocumentsSettings) -> sources.Documents:
    return sources.Documents(
        bucket=stated.bucket,
        prefix=stated.prefix,
        tags=stated.tags,
        configuration=stated.configuration,
    )


def _database(place: Place, stated: PostgresSettings) -> Iterator[Statement]:
    if stated.rds is not None:
        yield from sources.rds(place, stated.rds.kind)
    if stated.ssm is not None:
        yield from sources.parameter_values(place, stated.ssm.value)
    password = stated.password
    if password is not None and password.reference is not None:
        yield from _value(place, password.reference)
    if password is not None and password.kind == "rds_iam":
        yield from sources.rds_login(place, stated.user or "*")


def _value(place: Place, reference: SecretReference) -> list[Statement]:
    reads: Callable[[Place, str], list[Statement]] = (
        sources.parameter_value if reference.service == "ssm" else sources.secret_value
    )
    return reads(place, reference.name)


def _place(account: Account) -> Place:
    return place_of(account.region or Clients(account).region(), account.role)
