"""The keys of objects: the one place that knows how things are named in a store."""

from __future__ import annotations

import re
from typing import Final

CONFIG: Final = "config"
SLOTS: Final = "slots/"
WRITERS: Final = "writers/"
SESSIONS: Final = "sessions/"
PACKS: Final = "packs/"
INDEX: Final = "index/"
COMMITS: Final = "commits/"
ORDERS: Final = "orders/"
GC: Final = "gc/"
LEDGER: Final = "ledger/"
WAL: Final = "wal/"
PREFIXES: Final = (SLOTS, WRITERS, SESSIONS, PACKS, INDEX, COMMITS, ORDERS, GC, LEDGER, WAL)
PROBES: Final = "probe/"  # no part of a repository: what a store is tried with, deleted again
RESERVED: Final = "units/"  # format.md 10; nothing writes it yet
MANIFEST: Final = "backup_manifest.json"  # for people: format.md 18

ID_SIZE: Final = 16
HASH_SIZE: Final = 32

_COMMIT = re.compile(r"commits/([0-9a-f]{32})/([0-9a-f]{32})")
_SESSION = re.compile(r"sessions/([0-9a-f]{32})/([0-9a-f]{32})(?:\.([1-9][0-9]*))?")
_PACK = re.compile(r"packs/([0-9a-f]{2})/([0-9a-f]{64})")
_INDEX = re.compile(r"index/([0-9a-f]{64})")
_RUN = re.compile(r"gc/([0-9]{8})/(tombs|waits|kills|done)")
_WAL = re.compile(
    r"wal/([0-9a-f]{32})/([1-9][0-9]{0,19})/([0-9a-f]{8})/"
    r"(\3(?:\.history|[0-9a-f]{16}(?:\.partial\.[1-9][0-9]{0,8}|\.[0-9a-f]{8}\.backup)?))"
)
_WAL_SOURCE = re.compile(r"wal/([0-9a-f]{32})/sources/([0-9a-f]{32})\.([1-9][0-9]{0,8})")
_WAL_GAP = re.compile(
    r"wal/([0-9a-f]{32})/([1-9][0-9]{0,19})/gaps/([0-9a-f]{8})([0-9a-f]{16})-\3([0-9a-f]{16})"
)
_MAX_SYSTEM_ID: Final = (1 << 64) - 1
_MANIFEST = re.compile(
    r"([a-z0-9][a-z0-9-]{0,63}/[a-z0-9][a-z0-9-]{0,63}/[0-9]{4}/[0-9]{2}/[0-9]{2})/"
    r"(?:([a-z0-9][a-z0-9_.-]{0,254})/)?backup_manifest\.json"
)
_ID = re.compile(r"(?:slots|writers|orders|ledger)/([0-9a-f]{32})")


def slot(slot_id: bytes) -> str:
    """Key of a slot."""
    return SLOTS + slot_id.hex()


def writer(writer_id: bytes) -> str:
    """Key of a writer's public data."""
    return WRITERS + writer_id.hex()


def session(writer_id: bytes, session_id: bytes, beat: int = 0) -> str:
    """Key of a session, or of its heartbeat number ``beat``."""
    return f"{SESSIONS}{writer_id.hex()}/{session_id.hex()}" + (f".{beat}" if beat else "")


def commit(writer_id: bytes, session_id: bytes) -> str:
    """Key of the decision of a session."""
    return f"{COMMITS}{writer_id.hex()}/{session_id.hex()}"


def pack(pack_id: bytes) -> str:
    """Key of a pack."""
    name = pack_id.hex()
    return f"{PACKS}{name[:2]}/{name}"


def index_segment(segment_id: bytes) -> str:
    """Key of an index segment."""
    return INDEX + segment_id.hex()


def order(order_id: bytes) -> str:
    """Key of an order."""
    return ORDERS + order_id.hex()


def ledger(ledger_id: bytes) -> str:
    """Key of what one check read."""
    return LEDGER + ledger_id.hex()


def run_object(number: int, part: str) -> str:
    """Key of one object of a collector run."""
    return f"{GC}{number:08d}/{part}"


def wal_folder(domain_id: bytes, system_id: int, timeline: int | None = None) -> str:
    """Prefix of the WAL files of a cluster, or of one of its timelines."""
    prefix = f"{WAL}{domain_id.hex()}/{system_id}/"
    return prefix if timeline is None else f"{prefix}{timeline:08x}/"


def wal_file(domain_id: bytes, system_id: int, name: str, generation: int = 0) -> str:
    """Key of the WAL file that PostgreSQL calls so; ``generation``: of a partial one, from 1."""
    suffix = f".{generation}" if generation else ""
    return f"{WAL}{domain_id.hex()}/{system_id}/{name[:8].lower()}/{name.lower()}{suffix}"


def wal_gap(domain_id: bytes, system_id: int, first: str, last: str) -> str:
    """Key of the word that segments never come: PostgreSQL's names of the first and the last."""
    return f"{wal_gaps(domain_id, system_id)}{first.lower()}-{last.lower()}"


def wal_gaps(domain_id: bytes, system_id: int) -> str:
    """Prefix of what says which segments of a cluster never come."""
    return f"{wal_folder(domain_id, system_id)}gaps/"


def wal_source(domain_id: bytes, source_id: bytes, number: int) -> str:
    """Key of what says which cluster a source is."""
    return f"{WAL}{domain_id.hex()}/sources/{source_id.hex()}.{number}"


def wal_sources(domain_id: bytes) -> str:
    """Prefix of what says which cluster a source is."""
    return f"{WAL}{domain_id.hex()}/sources/"


def wal_ids(key: str) -> tuple[bytes, int, str, int] | None:
    """(domain id, system id, PostgreSQL's name, generation or 0) of a WAL file; None: not one."""
    match = _WAL.fullmatch(key)
    if match is None or int(match[2]) > _MAX_SYSTEM_ID:
        return None
    name, _, generation = match[4].partition(".partial.")
    stem, dot, suffix = name.partition(".")
    if generation:
        text = f"{name.upper()}.partial"
    elif suffix.endswith("backup"):
        text = f"{stem.upper()}.{suffix[:8].upper()}.backup"
    else:
        text = stem.upper() + dot + suffix
    return bytes.fromhex(match[1]), int(match[2]), text, int(generation or 0)


def wal_gap_ids(key: str) -> tuple[bytes, int, str, str] | None:
    """(domain id, system id, first, last segment) of the word of a gap; None: it is none."""
    match = _WAL_GAP.fullmatch(key)
    if match is None or int(match[2]) > _MAX_SYSTEM_ID:
        return None
    line = match[3].upper()
    return bytes.fromhex(match[1]), int(match[2]), line + match[4].upper(), line + match[5].upper()


def wal_source_ids(key: str) -> tuple[bytes, bytes, int] | None:
    """(domain id, source id, number) of what says which cluster a source is; None: not one."""
    match = _WAL_SOURCE.fullmatch(key)
    return (bytes.fromhex(match[1]), bytes.fromhex(match[2]), int(match[3])) if match else None


def commit_ids(key: str) -> tuple[bytes, bytes] | None:
    """(writer id, session id) of a commit's key; None if it is not one."""
    match = _COMMIT.fullmatch(key)
    return (bytes.fromhex(match[1]), bytes.fromhex(match[2])) if match else None


def can_be_head(key: str) -> bool:
    """Whether a key is one that heads name: that of a commit or of an order."""
    return commit_ids(key) is not None or (key.startswith(ORDERS) and object_id(key) is not None)


def session_ids(key: str) -> tuple[bytes, bytes, int] | None:
    """(writer id, session id, heartbeat number or 0) of a session's key; None if it is not one."""
    match = _SESSION.fullmatch(key)
    if match is None:
        return None
    return bytes.fromhex(match[1]), bytes.fromhex(match[2]), int(match[3] or 0)


def pack_id(key: str) -> bytes | None:
    """Id of the pack that a key names; None if it is not one."""
    match = _PACK.fullmatch(key)
    return bytes.fromhex(match[2]) if match and match[2].startswith(match[1]) else None


def segment_id(key: str) -> bytes | None:
    """Id of the index segment that a key names; None if it is not one."""
    match = _INDEX.fullmatch(key)
    return bytes.fromhex(match[1]) if match else None


def run_part(key: str) -> tuple[int, str] | None:
    """(number, part) of an object of a collector run; None if it is not one."""
    match = _RUN.fullmatch(key)
    return (int(match[1]), match[2]) if match else None


def object_id(key: str) -> bytes | None:
    """Id in the key of a slot, writer, order or ledger; None if it is not one."""
    match = _ID.fullmatch(key)
    return bytes.fromhex(match[1]) if match else None


def is_object(key: str) -> bool:
    """Whether a key is one that an object of a repository has."""
    return key == CONFIG or any(
        parsed(key) is not None
        for parsed in (
            pack_id,
            segment_id,
            commit_ids,
            session_ids,
            object_id,
            run_part,
            wal_ids,
            wal_gap_ids,
            wal_source_ids,
        )
    )


def manifest_day(key: str) -> tuple[str, str] | None:
    """(folder of its day, name or empty for the list of the day) of a manifest; None: not one."""
    match = _MANIFEST.fullmatch(key)
    if match is None or key.startswith((*PREFIXES, PROBES, RESERVED)):
        return None
    return match[1], match[2] or ""
