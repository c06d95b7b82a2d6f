"""What has to be known of a server to say whether base backups and its WAL are saved.

Everything is asked in one read-only session; what the role may not see is None, and no error.
"""

from __future__ import annotations

from typing import Final

import msgspec

from strongroom.postgres.wire import Wire

_READ_ONLY: Final = "SET default_transaction_read_only = on"
_SETTINGS: Final = (
    "archive_command",
    "archive_library",
    "archive_mode",
    "archive_timeout",
    "config_file",
    "data_checksums",
    "data_directory",
    "full_page_writes",
    "hba_file",
    "ident_file",
    "max_replication_slots",
    "max_slot_wal_keep_size",
    "max_wal_senders",
    "server_version",
    "wal_level",
)
_FACTS: Final = """\
SELECT json_build_object(
  'name', current_user,
  'superuser', r.rolsuper,
  'replication', r.rolsuper OR r.rolreplication,
  'standby', pg_is_in_recovery(),
  'system', (SELECT system_identifier FROM pg_control_system()),
  'timeline', CASE WHEN pg_is_in_recovery()
    THEN (SELECT min_recovery_end_timeline FROM pg_control_recovery())
    ELSE ('x' || substr(pg_walfile_name(now_at.lsn), 1, 8))::bit(32)::int END,
  'lsn', (now_at.lsn - '0/0'::pg_lsn)::bigint,
  'now_ns', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000,
  'settings', (SELECT json_object_agg(name, setting) FROM pg_settings WHERE name IN ({names})),
  'senders', (SELECT count(*) FROM pg_stat_replication),
  'slots', (SELECT coalesce(json_agg(json_build_object(
      'name', slot_name, 'physical', slot_type = 'physical', 'active', active,
      'lost', wal_status = 'lost', 'retained', greatest(now_at.lsn - restart_lsn, 0)::bigint)
      ORDER BY slot_name), '[]') FROM pg_replication_slots),
  'archiver', (SELECT json_build_object(
      'last', last_archived_wal,
      'last_age', extract(epoch FROM clock_timestamp() - last_archived_time)::float8,
      'failures', failed_count, 'failed', last_failed_wal,
      'failed_age', extract(epoch FROM clock_timestamp() - last_failed_time)::float8)
    FROM pg_stat_archiver),
  'tablespaces', (SELECT coalesce(json_agg(json_build_array(
      spcname, pg_tablespace_location(oid)) ORDER BY spcname), '[]')
    FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')),
  'damaged', (SELECT coalesce(json_agg(json_build_array(
      coalesce(datname, 'shared'), checksum_failures) ORDER BY datname), '[]')
    FROM pg_stat_database WHERE checksum_failures > 0),
  'size', (SELECT sum(pg_database_size(oid))::bigint FROM pg_database
    WHERE has_database_privilege(oid, 'CONNECT')),
  'may_list_waiting', has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE'),
  'may_name_moments', has_function_privilege('pg_create_restore_point(text)', 'EXECUTE'))
FROM pg_roles r, (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
  ELSE pg_current_wal_lsn() END AS lsn) now_at WHERE rolname = current_user"""
_WAITING: Final = """\
SELECT json_build_array(count(*),
  coalesce(extract(epoch FROM clock_timestamp() - min(modification)), 0)::float8)
FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"""


class Slot(msgspec.Struct, frozen=True):
    """A replication slot. ``retained``: bytes of WAL that stay for it; None: it was never used."""

    name: str
    physical: bool
    active: bool
    lost: bool | None
    retained: int | None


class Archiver(msgspec.Struct, frozen=True):
    """What became of ``archive_command``, as the server counts; ages in seconds."""

    last: str | None
    last_age: float | None
    failures: int
    failed: str | None
    failed_age: float | None


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """How many WAL files wait to be archived, and for how many seconds the first one does."""

    count: int
    seconds: float


class ClusterFacts(msgspec.Struct, frozen=True):
    """The role that asks, and the cluster: where its WAL is on which timeline.

    ``senders``: connections that stream now. ``tablespaces``: name and folder. ``damaged``:
    databases, and how many pages with a wrong checksum were found in them since statistics began.
    ``size``: bytes of the databases that the role may connect to.
    """

    name: str
    superuser: bool
    replication: bool
    standby: bool
    system: int
    timeline: int
    lsn: int
    now_ns: int
    settings: dict[str, str]
    senders: int
    slots: tuple[Slot, ...]
    archiver: Archiver
    tablespaces: tuple[tuple[str, str], ...]
    damaged: tuple[tuple[str, int], ...]
    size: int | None
    may_list_waiting: bool
    may_name_moments: bool
    waiting: Waiting | None = None

    def setting(self, name: str) -> str:
        """Return a setting, empty if the role may not see it."""
        return self.settings.get(name, "")

    def number(self, name: str) -> int:
        """Return a setting that is a number, as ``pg_settings`` has it: in its own unit."""
        return int(self.settings.get(name) or 0)


def cluster_facts(wire: Wire) -> ClusterFacts:
    """Ask a server about itself; ``ServerError`` with what it said no to."""
    wire.ask(_READ_ONLY)
    names = ", ".join(f"'{name}'" for name in _SETTINGS)
    facts = msgspec.json.decode(wire.value(_FACTS.format(names=names)), type=ClusterFacts)
    if not facts.may_list_waiting:
        return facts
    waiting = msgspec.json.decode(wire.value(_WAITING), type=Waiting)
    return msgspec.structs.replace(facts, waiting=waiting)
