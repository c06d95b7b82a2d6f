"""What a recovery works with: the snapshot, programs of PostgreSQL, the user that they run as."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.app.machine import Run
from strongroom.app.opening import Opened
from strongroom.app.recovery_place import LONGEST_SOCKET, owner_of
from strongroom.app.recovery_wal import Salvage, own_program, probe
from strongroom.config.environment import read_environment
from strongroom.errors import DamageError, StrongroomError
from strongroom.model.entry import Entry
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.source import Problem
from strongroom.model.spawn import Account
from strongroom.operations import listing
from strongroom.operations.clusters import BaseBackup
from strongroom.operations.recovery import RecoveryPlan, Tools
from strongroom.operations.restore import restore as bring_back
from strongroom.postgres.client import Client
from strongroom.postgres.connection import Connection, client_environment
from strongroom.postgres.programs import Programs
from strongroom.repository.reader import Reader
from strongroom.restore.cluster.place import make_new
from strongroom.restore.cluster.server import RecoveringServer, account_of, is_root
from strongroom.restore.files.begin import TargetOptions, begin
from strongroom.restore.files.owners import OwnerMap, Owners
from strongroom.system.causes import cause_of

_MINUTE: Final = 60.0
_VERIFY_SECONDS: Final = 24 * 3600.0
_STATE: Final = """\
SELECT json_build_object(
  'recovery', pg_is_in_recovery(),
  'last_ns', (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint * 1000,
  'lsn', pg_last_wal_replay_lsn() - '0/0'::pg_lsn,
  'shown', pg_last_wal_replay_lsn()::text,
  'timeline', CASE WHEN pg_is_in_recovery()
     THEN (SELECT min_recovery_end_timeline FROM pg_control_recovery())
     ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END)"""


def read_one(opened: Opened, listed: ListedSnapshot, path: bytes) -> bytes:
    """Return one file of a snapshot."""
    data = bytearray()
    listing.dump(opened.repository, listed, path, data.extend)
    return bytes(data)


@dataclass(frozen=True, slots=True)
class Hands:
    """What one recovery does to this machine."""

    run: Run
    opened: Opened
    reader: Reader
    plan: RecoveryPlan
    chosen: BaseBackup
    programs: Programs

    @property
    def _owner(self) -> tuple[int, int] | None:
        return owner_of(self.plan.present)

    @property
    def _account(self) -> Account | None:
        """Whom the server runs as; None: as us."""
        owner = self._owner
        return account_of(owner) if owner is not None and is_root() else None

    def probe(self) -> None:
        """Make sure, before anything is changed, that the server will be able to fetch WAL."""
        folder = self._sockets()
        try:
            probe(self.run, self.plan, self._account, self._environment(), folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def tools(self) -> Tools:
        """Return what a recovery is carried out with."""
        machine, listed = self.run.machine, self.chosen.listed
        salvage = Salvage(
            self.run,
            self.opened,
            self.plan,
            shlex.join(own_program(self.run)),
            self._account,
            self._environment(),
        )
        return Tools(
            machine.fs,
            machine.clock,
            self.run.sink,
            self.run.tell,
            self._fill,
            lambda path: read_one(self.opened, listed, path.encode()),
            salvage.keep,
            self._verify,
            self._server,
            self._sockets,
            self._ask,
            self._owner,
        )

    def _fill(self, top: str, folder: Path, without: str) -> None:
        machine = self.run.machine
        problems: list[Problem] = []
        owner = self._owner
        owners = Owners("skip")
        if owner is not None:
            uid, gid = owner
            owners = Owners("name", users=OwnerMap(others=uid), groups=OwnerMap(others=gid))
        options = TargetOptions(None, owners)
        skipped = f"{top}/{without}".encode()

        def wanted(entry: Entry) -> bool:
            return entry.path != skipped

        path = os.fsencode(folder)
        with closing(begin(machine.fs, path, problems.append, machine.randomness, options)) as to:
            result = bring_back(
                self.opened.repository,
                self.chosen.listed,
                to,
                top.encode(),
                wanted if without else None,
                reader=self.reader,
            )
        for problem in result.damaged:
            raise DamageError(
                f"the base backup is not whole: {_shown(problem)}",
                hint="Begin with another one: --snapshot. 'strongroom verify --read-data' says "
                "what else is damaged.",
            )
        for problem in problems:
            raise StrongroomError(f"{folder} cannot be restored: {_shown(problem)}")

    def _verify(self, folder: Path) -> None:
        """Compare with the server's manifest, where its program is there."""
        program = self.programs.folder / "pg_verifybackup"
        spawn = self.run.machine.spawn
        environment = client_environment(read_environment().variables(), None)
        command = [str(program), "--no-parse-wal", "--quiet", str(folder)]
        if not self._works(program, environment):
            self.run.warn(
                f"{program} does not work, so what was restored is not compared with the server's "
                "manifest"
            )
            return
        try:
            done = spawn.run(command, seconds=_VERIFY_SECONDS, environment=environment)
        except OSError as error:
            raise StrongroomError(f"{program} does not work: {cause_of(error)}") from error
        if done.code != 0:
            said = " ".join(done.errors.decode("utf-8", "replace").split())[:600]
            raise DamageError(f"what was restored is not what the server sent: {said}")

    def _works(self, program: Path, environment: Mapping[str, str]) -> bool:
        try:
            known = self.run.machine.spawn.run(
                [str(program), "--version"], seconds=_MINUTE, environment=environment
            )
        except OSError:
            return False
        return known.code == 0

    def _server(self, data: Path, log: Path) -> RecoveringServer:
        machine, folder = self.run.machine, self.programs.folder
        return RecoveringServer(
            machine.spawn, machine.clock, folder, data, log, self._account, self._environment()
        )

    def _environment(self) -> dict[str, str]:
        """Return what a server sees, and with it its restore_command, which is this program."""
        variables, account = read_environment().variables(), self._account
        ours = {
            name: value
            for name, value in variables.items()
            if name.startswith("STRONGROOM_") or name == "PYTHONPATH"
        }
        home = {"HOME": account.home} if account is not None else {}
        return {**ours, **client_environment(variables, None), **home}

    def _sockets(self) -> Path:
        """Make a private folder, beside the data directory, or where its name is short enough."""
        data = self.plan.present.path
        folder = data.with_name(f"{data.name}.strongroom-sockets")
        if len(os.fsencode(folder)) > LONGEST_SOCKET:
            name = f"strongroom-{self.run.machine.randomness.take(8).hex()}"
            folder = Path("/tmp", name)  # noqa: S108 - the name is random, and the folder ours
        make_new(self.run.machine.fs, folder, self._owner)
        return folder

    def _ask(self, folder: str, port: int) -> Mapping[str, object]:
        user = self.plan.record.superuser or "postgres"
        to = Connection(host=folder, port=port, user=user, database="template1")
        environment = client_environment(read_environment().variables(), None)
        client = Client(self.run.machine.spawn, to, self.programs, environment)
        said: Mapping[str, object] = client.query(_STATE)
        return said


def _shown(problem: Problem) -> str:
    return f"{problem.path.decode('utf-8', 'backslashreplace')}: {problem.cause}"
