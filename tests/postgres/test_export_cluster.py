"""An exported base backup is a data directory that a server starts from, and comes back as one."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.postgres.cluster_kit import backed_up, cluster_of, configure, everything, port_of
from tests.support.wal_server import Place, Server, as_nobody

pytestmark = pytest.mark.spec("B9", "C5")

ALONE, WITH_ARCHIVE = "true", '{ wal = "archive", wait = "30s" }'
DATA = "cluster/db/data"


def exported(place: Place, *words: str) -> Path:
    """Export the latest snapshot, and return the folder of the archive."""
    place.good("export", "latest", "--to", place.top / "shelf", *words)
    (archive,) = (place.top / "shelf").glob("2*_*")
    return archive


def lost(server: Server) -> None:
    """Stop the server and lose its files."""
    server.stop(signal.SIGQUIT)
    shutil.rmtree(server.data)


@pytest.mark.parametrize("physical", [ALONE, WITH_ARCHIVE], ids=["alone", "archive"])
def test_a_server_starts_from_the_unpacked_tar(physical: str) -> None:
    """With tar and PostgreSQL alone, also where the WAL that it needs was in the archive."""
    with cluster_of(15, archive=physical != ALONE) as (place, server):
        configure(place, server, physical)
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 5000) n; CREATE ROLE app LOGIN")
        before = everything(place, place.top, port_of(server))
        backed_up(place)
        (tar,) = exported(place).glob("*.tar.gz")
        lost(server)
        plain = place.top / "plain"
        command: list[str | Path] = ["tar", "-xpzf", tar, "--one-top-level=plain"]
        subprocess.run(command, check=True, **as_nobody(place.top))
        shutil.move(plain / DATA, server.data)
        server.configure("archive_mode = off\n")
        server.start()
        assert everything(place, place.top, port_of(server)) == before


@pytest.mark.parametrize("physical", [ALONE, WITH_ARCHIVE], ids=["alone", "archive"])
def test_an_import_is_recovered_from(physical: str) -> None:
    """In a repository that never saw the cluster nor its WAL."""
    with cluster_of(15, archive=physical != ALONE) as (place, server):
        configure(place, server, physical)
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 5000) n")
        before = everything(place, place.top, port_of(server))
        backed_up(place)
        archive = exported(place)
        lost(server)
        other = ("-r", place.top / "other")
        place.good("init", *other)
        place.good("import", archive, *other)
        place.good("recover", "db", "--latest", *other)
        assert everything(place, place.top, port_of(server)) == before


def test_a_part_is_no_base_backup() -> None:
    """Without all of its files it is imported as files, and no recovery begins with it."""
    with cluster_of(15) as (place, server):
        backed_up(place)
        archive = exported(place, "--exclude", "pg_wal")
        other = ("-r", place.top / "other")
        place.good("init", *other)
        place.good("import", archive, *other)
        lost(server)
        refused = place.run("recover", "db", "--latest", *other)
        assert refused.returncode == 15, refused
        assert "base backup" in refused.stderr


def test_wal_that_is_gone_ends_the_export() -> None:
    """A base backup that no server could start from is no archive: exit code 4, and it says why."""
    with cluster_of(15, archive=True) as (place, server):
        configure(place, server, WITH_ARCHIVE)
        backed_up(place)
        for segment in (place.repository / "wal").rglob("0000*"):
            if segment.is_file():
                segment.unlink()
        done = place.run("export", "latest", "--to", place.top / "shelf")
        assert done.returncode == 4, done
        assert "is not in the archive any more" in done.stderr
        assert list((place.top / "shelf").glob("2*_*")) == []


def test_another_cluster_of_the_name_is_refused() -> None:
    """What is backed up under a name stays what 'recover' begins with: exit code 6, no snapshot."""
    with cluster_of(15) as (place, server):
        backed_up(place)
        archive = exported(place)
        other = place.make("other", "true")
        lost(server)
        shutil.move(other.data, server.data)
        server.configure(f"port = {server.port}\narchive_mode = off\n")
        server.start()
        place.good("init", "-r", place.top / "second")
        place.good("backup", "db", "-r", place.top / "second")
        refused = place.run("import", archive, "-r", place.top / "second")
        assert refused.returncode == 6, refused
        assert "two clusters cannot share a name" in refused.stderr
