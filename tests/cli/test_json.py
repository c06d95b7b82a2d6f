"""JSON lines: every line has a type and a schema, numbers are integers, times are RFC 3339."""

from __future__ import annotations

import base64
import json
import os
import re
from itertools import pairwise

import pytest

from tests.cli.harness import Program, Result

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_FIELDS: dict[tuple[str, str], set[str]] = {
    ("init", "initialized"): {
        *("id", "repository", "recovery_key", "key_file", "key_file_made", "replaced", "mode"),
    },
    ("backup", "summary"): {
        *("dry_run", "snapshot_id", "status", "backup_start", "backup_end", "total_duration"),
        *("total_files_processed", "total_bytes_processed", "directories", "entries"),
        *("entries_new", "entries_changed", "entries_unmodified", "anomalies"),
        *("bytes_read", "data_blobs", "data_added"),
        *("data_added_packed", "problems", "store_requests", "forgotten"),
        *("environment", "type"),
    },
    ("backup", "error"): {"during", "error", "missing", "item"},
    ("backup", "status"): {
        *("phase", "seconds_elapsed", "seconds_remaining", "percent_done", "items_done"),
        *("total_items", "bytes_done", "total_bytes", "error_count", "current_files"),
    },
    ("dry-run", "entry"): {"action", "size", "path"},
    ("dry-run", "summary"): {
        *("dry_run", "entries", "entries_new", "entries_changed", "entries_unmodified"),
        "total_bytes_processed",
        *("bytes_read", "problems"),
    },
    ("snapshots", "snapshot"): {
        *("id", "short_id", "time", "end", "hostname", "username", "tags", "paths", "sources"),
        *("environment", "type", "name"),
        *(
            "status",
            "program_version",
            "writer",
            "agent",
            "entries",
            "files",
            "directories",
            "bytes",
        ),
        "problems",
    },
    ("snapshots", "summary"): {"snapshots"},
    ("key list", "key"): {
        *("id", "kind", "role", "made", "opened", "damage", "kms_key", "region"),
    },
    ("key list", "agent"): {"id", "name", "domain", "made", "damage", "revoked"},
    ("key list", "summary"): {
        *("keys", "agents", "unfinished", "unreadable", "epoch", "depends_on"),
    },
    ("key add", "key_added"): {"id", "kind", "role", "recovery_key", "key_file", "key_file_made"},
    ("key remove", "key_removed"): {"id", "finished_before", "kept"},
    ("key export-agent", "agent_exported"): {"id", "name", "domain", "path", "repository"},
    ("key kit", "kit"): {
        *("id", "repository", "fingerprint", "key", "key_made", "path", "recovery_key", "text"),
    },
    ("key kit", "kit_verified"): {
        *("id", "repository", "key", "snapshots", "newest", "newest_time"),
    },
    ("ls", "node"): {"type", "size", "mode", "uid", "gid", "user", "group", "mtime", "path"},
    ("ls", "summary"): {"snapshot_id", "entries"},
    ("find", "match"): {
        *("type", "size", "mode", "uid", "gid", "user", "group", "mtime", "path", "snapshot_id"),
    },
    ("find", "summary"): {"snapshots", "matches", "damaged", "unreadable_snapshots"},
    ("diff", "change"): {
        *("modifier", "type", "metadata", "size_before", "size_after", "path", "details"),
    },
    ("diff", "summary"): {
        *("snapshot_id", "other_id", "changed_files", "changed_metadata", "damaged", "problems"),
        *("added_files", "added_directories", "added_others", "added_bytes"),
        *("removed_files", "removed_directories", "removed_others", "removed_bytes"),
    },
    ("stats", "source"): {
        *("name", "hostname", "paths", "snapshots", "newest_restore_size", "added_data"),
        "added_stored",
    },
    ("stats", "growth"): {"snapshot_id", "time", "restore_size", "added_data", "added_stored"},
    ("stats", "summary"): {
        *("snapshots", "restore_size", "files", "different_files", "different_files_size"),
        *("different_data", "different_chunks", "stored", "stored_trees", "deduplication"),
        *("compression", "repository_size", "repository_objects", "damaged", "missing_chunks"),
        "unreadable_snapshots",
    },
    ("tag", "changed"): {"snapshot_id", "tags_before", "tags"},
    ("tag", "summary"): {"dry_run", "snapshots", "changed_snapshots"},
    ("config show", "setting"): {"key", "value", "origin"},
    ("config show", "summary"): {"settings"},
    ("config check", "finding"): {"severity", "where", "text"},
    ("config check", "summary"): {"file", "errors", "warnings"},
    ("restore", "plan"): {
        *("dry_run", "snapshot_id", "target", "target_exists", "target_in_use", "entries"),
        *("files", "bytes", "space_needed", "space_free", "path", "overwrite", "deletes"),
    },
    ("restore", "summary"): {
        *("snapshot_id", "target", "entries", "files_restored", "bytes_restored", "damaged"),
        *("refused", "problems", "total_duration", "store_requests"),
        *("entries_skipped", "entries_deleted", "entries_verified", "entries_different"),
    },
    ("verify", "summary"): {
        *("num_errors", "snapshots", "packs", "packs_read", "bytes_read", "chunks"),
        *("unreferenced_packs", "total_duration", "store_requests"),
        *("packs_overdue", "bytes_overdue", "wal_files", "wal_files_read"),
    },
    ("forget", "snapshot"): {"id", "time", "hostname", "paths", "keep", "reasons"},
    ("forget", "forgotten"): {"dry_run", "snapshots", "forgotten"},
    ("retention explain", "snapshot"): {"id", "time", "hostname", "paths", "keep", "reasons"},
    ("retention explain", "summary"): {"snapshots", "forgotten"},
    ("undelete", "snapshot"): {"id"},
    ("undelete", "summary"): {"dry_run", "snapshots"},
    ("hold", "snapshot"): {"id"},
    ("hold", "summary"): {"dry_run", "released", "snapshots"},
    ("holds", "hold"): {"id", "since", "by", "note"},
    ("holds", "summary"): {"holds"},
    ("prune", "summary"): {
        *("dry_run", "runs_finished_for_others", "packs_removed", "bytes_removed"),
        *("commits_removed", "segments_removed", "packs_repacked", "bytes_repacked"),
        *("segments_joined", "packs_kept", "bytes_kept", "bytes_unused", "snapshots_in_grace"),
        *("last_good_kept", "total_duration", "store_requests"),
        *("wal_files_removed", "wal_bytes_removed", "objects_hidden", "bytes_hidden"),
        *("bytes_held", "held_until", "held_exactly", "removed_after_days", "not_known"),
    },
}
_FLOATS = {"total_duration", "percent_done", "deduplication", "compression"}
_OPTIONAL = {"path_b64", "item_b64", "target", "target_b64", "hard_link"}


def _check(verb: str, result: Result, *types: str) -> None:
    assert result.err == ""
    found = set()
    for record in result.records:
        kind = record.pop("message_type")
        assert record.pop("schema") == 1
        if kind == "notice":
            continue
        found.add(kind)
        assert record.keys() - _OPTIONAL == _FIELDS[verb, kind] - _OPTIONAL, (verb, kind)
        for name, value in record.items():
            _check_value(name, value)
    assert found - {"status"} == set(types)


def _check_value(name: str, value: object) -> None:
    if name in {"time", "end", "mtime", "backup_start", "backup_end", "made", "newest_time"}:
        assert _TIME.fullmatch(str(value)), name
    if isinstance(value, float):
        assert name in _FLOATS or name.startswith("seconds_"), name


@pytest.mark.trial(27)
@pytest.mark.spec("B5")
def test_every_verb_prints_json_lines(empty: Program) -> None:
    """Each verb's lines have exactly the fields that are documented."""
    documents = empty.make_files(a="1", b=bytes(3_000_000))
    (documents / os.fsdecode(b"\xff")).write_text("2")
    (documents / "link").symlink_to(os.fsdecode(b"\xfe"))
    _check("init", empty.good("init", "--json"), "initialized")
    _check("dry-run", empty.good("backup", "./documents", "-n", "--json"), "entry", "summary")
    _check("backup", empty.good("backup", "./documents", "--json"), "summary")
    partial = empty.run("backup", "./documents", "./nowhere", "--json")
    assert partial.code == 3
    _check("backup", partial, "error", "summary")
    _check("snapshots", empty.good("snapshots", "--json"), "snapshot", "summary")
    _check("ls", empty.good("ls", "latest", "--json"), "node", "summary")
    _check("find", empty.good("find", "a", "b", "--json"), "match", "summary")
    (documents / "a").unlink()
    _check("diff", empty.good("diff", "latest", "--disk", "--json"), "change", "summary")
    _check("diff", empty.good("diff", "latest~1", "latest", "--json"), "summary")
    _check("stats", empty.good("stats", "--json"), "source", "growth", "summary")
    _check("tag", empty.good("tag", "latest", "--add", "x", "--json"), "changed", "summary")
    _check("config show", empty.good("config", "show", "--json"), "setting", "summary")
    env = {"STRONGROOM_X": "1"}
    wrong = empty.run("config", "check", "--json", env=env)
    assert wrong.code == 2
    _check("config check", wrong, "finding", "summary")
    to = ("restore", "latest", "--to", "back", "--json")
    _check("restore", empty.good(*to, "--dry-run"), "plan")
    _check("restore", empty.good(*to), "plan", "summary")
    _check("verify", empty.good("verify", "--read-data", "--json"), "summary")


@pytest.mark.spec("B6")
def test_every_command_about_old_snapshots_prints_json_lines(program: Program) -> None:
    """As above, for forgetting, holding and freeing room."""
    documents = program.make_files(a="1")
    program.good("backup", "./documents")
    (documents / "b").write_text("2")
    program.good("backup", "./documents")
    explained = program.good("retention", "explain", "--keep-last", "1", "--json")
    _check("retention explain", explained, "snapshot", "summary")
    forgotten = program.good("forget", "--keep-last", "1", "--json")
    _check("forget", forgotten, "snapshot", "forgotten")
    gone = forgotten.records[1]["id"]
    _check("undelete", program.good("undelete", gone, "--json"), "snapshot", "summary")
    _check("hold", program.good("hold", gone, "--json"), "snapshot", "summary")
    _check("holds", program.good("hold", "--json"), "hold", "summary")
    _check("hold", program.good("hold", "--release", gone, "--json"), "snapshot", "summary")
    _check("prune", program.good("prune", "--json"), "summary")


@pytest.mark.spec("B3")
def test_every_command_about_keys_prints_json_lines(program: Program) -> None:
    """As above, for keys, agents and kits."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    added = program.good("key", "add", "--recovery", "--role", "reader", "--json")
    _check("key add", added, "key_added")
    exported = program.good("key", "export-agent", "--name", "web1", "--to", "agent", "--json")
    _check("key export-agent", exported, "agent_exported")
    _check("key list", program.good("key", "list", "--json"), "key", "agent", "summary")
    key_id = added.record("key_added")["id"]
    _check("key remove", program.good("key", "remove", key_id, "--json"), "key_removed")
    made = program.good("key", "kit", "--new-recovery-key", "--to", "kit", "--json")
    _check("key kit", made, "kit")
    assert made.record("kit")["recovery_key"] is None, "it is in the file"
    _check("key kit", program.good("key", "kit", "--verify", "kit", "--json"), "kit_verified")


def test_names_that_are_not_utf8(program: Program) -> None:
    """Next to a path that is not UTF-8 stands its base64; every line is plain ASCII JSON."""
    documents = program.make_files()
    (documents / os.fsdecode(b"\xff")).write_text("2")
    program.good("backup", "./documents")
    result = program.good("ls", "latest", documents, "--json")
    node = result.records[1]
    assert base64.b64decode(node["path_b64"]) == os.fsencode(documents) + b"/\xff"
    assert result.out.isascii()
    assert "path_b64" not in result.records[0]


def test_status_lines_come_at_most_once_a_second(program: Program) -> None:
    """Status lines are few, and grow."""
    program.make_files(big=os.urandom(30_000_000))
    records = program.good("backup", "./documents", "--json").records
    states = [one for one in records if one["message_type"] == "status"]
    times = [one["seconds_elapsed"] for one in states]
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(times))


@pytest.mark.trial(27)
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("ls", "latest", "--json"), 15),
        (("--json", "ls", "ffff"), 15),
        (("backup", "nothing", "--json"), 2),
        (("verify", "--read-data-subset", "x", "--json"), 2),
        (("snapshots", "--json", "--what"), 2),
        (("dump", "latest", "/a", "--json"), 2),
        (("init", "--json"), 6),
        (("snapshots", "--json", "-r", "nowhere"), 10),
    ],
)
def test_a_failure_ends_with_a_json_line(
    program: Program, command: tuple[str, ...], code: int
) -> None:
    """The last line of standard error holds code and message; standard output stays empty."""
    if "-r" in command:
        result = program.run(*command, env={"STRONGROOM_REPOSITORY": None})
    else:
        result = program.run(*command)
    assert result.code == code
    assert result.exit_error["code"] == code
    assert result.exit_error["schema"] == 1
    assert result.exit_error["message"]
    assert result.out == ""


def test_no_secret_is_printed(empty: Program) -> None:
    """Passphrases appear in no output, whatever goes wrong."""
    secret = "a very secret passphrase"
    empty.passphrase_file.write_text(secret)
    env = empty.by_passphrase
    outputs = [empty.good("init", "--json", env=env)]
    empty.make_files(a="1")
    outputs += [
        empty.run("backup", "./documents", "--json", "--debug", env=env),
        empty.run("backup", "nothing", "--debug", env=env),
        empty.run("ls", "nothing", "--debug", env=env),
    ]
    for result in outputs:
        assert secret not in result.out + result.err
    assert json.loads(outputs[0].out)["recovery_key"]
