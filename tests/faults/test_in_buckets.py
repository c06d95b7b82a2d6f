"""Crashes, damage and many at once, over a repository in a bucket of each of two servers."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.errors import BusyError, FencedError
from strongroom.model.store import Store
from tests.faults.damage import Damage, Judge, build, flipped
from tests.faults.test_crash_at_requests import STOPS, requests_of_backup, stop_backup
from tests.faults.workloads import FIRST, SECOND, Files, make_base
from tests.support.aws import AwsServer
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.s3 import new_bucket, store_in

pytestmark = pytest.mark.spec("B1", "B2", "B7", "D3")

QUICK_STOPS = {"dies after": 3, "reply lost": 2, "fails from then on": 2}  # how many requests
WRITERS, BACKUPS = 3, 2

Made = Callable[[Mapping[str, bytes]], Store]


@pytest.fixture(name="made", params=["moto", "localstack"])
def _made(request: pytest.FixtureRequest, s3_servers: Callable[[str], AwsServer]) -> Made:
    """Return what puts objects into a new store, below a prefix of its own in a bucket."""
    request.getfixturevalue("aws_credentials")
    server = s3_servers(request.param)
    bucket = new_bucket(server)
    numbers = itertools.count()

    def made(objects: Mapping[str, bytes]) -> Store:
        store = store_in(server.account, bucket, f"r{next(numbers)}")
        for key, value in objects.items():
            store.put(key, value)
        return store

    return made


def _stopped(made: Made, stop: str, folder: Path, most: int | None) -> None:
    """Stop a backup at requests that a seed chooses, at most so many, or at each."""
    base = replace(make_base(folder, [FIRST]), made=made)
    places = range(1, requests_of_backup(base, SECOND, folder) + 1)
    chosen = places if most is None else random.Random(stop).sample(places, most)
    for nth in sorted(chosen):
        try:
            stop_backup(base, SECOND, stop, nth, folder)
        except BaseException as error:
            error.add_note(f"REPRO: {stop}, request {nth}")
            raise


@pytest.mark.parametrize("stop", QUICK_STOPS)
def test_a_backup_that_was_stopped_loses_nothing(made: Made, stop: str, tmp_path: Path) -> None:
    """What was acknowledged restores, what was not is not listed, the next backup works."""
    _stopped(made, stop, tmp_path, QUICK_STOPS[stop])


@pytest.mark.slow
@pytest.mark.parametrize("stop", STOPS)
def test_a_backup_stopped_at_any_request(made: Made, stop: str, tmp_path: Path) -> None:
    """The same at every request, in every way."""
    _stopped(made, stop, tmp_path, None)


def test_damage_to_any_kind_of_object_is_found(made: Made, tmp_path: Path) -> None:
    """One flipped bit, or a cut end, in an object of each kind: found and named, and snapshots that
    do not need it are whole.
    """
    base = build(tmp_path / "made")
    judge = Judge(base, tmp_path, made)
    chance = random.Random(7)
    kinds = ("config of init", "slot of init", "commit of second", "index of first")
    for name in (*kinds, "pack of first"):
        key = base.key(name)
        value = base.objects[key]
        place = chance.randrange(len(value))
        for text, changed in (
            (f"a bit of byte {place}", flipped(value, place, chance.randrange(8))),
            ("cut", value[: len(value) // 2]),
        ):
            judge.check(Damage(text, {**base.objects, key: changed}, (key,)))


def test_hosts_at_once(made: Made, tmp_path: Path) -> None:
    """Some back up, two collect and one forgets, all at once: every acknowledged snapshot that was
    not forgotten is whole, and nothing is damaged.
    """
    base = replace(make_base(tmp_path, [FIRST, SECOND]), made=made)
    store, _ = base.again(tmp_path)
    oldest, newest = base.acknowledged

    def write(host: int) -> dict[str, Files]:
        found = {}
        for number in range(BACKUPS):
            files = SECOND | {b"of/%d" % host: noise(50_000, f"{host} {number}")}
            kit = Kit(store, tmp_path / f"writer {host}")
            found[kit.backup(files, f"host {host}").snapshot.id] = files
        return found

    def collect(host: int) -> dict[str, Files]:
        try:
            Kit(store, tmp_path / f"collector {host}").prune()
        except (BusyError, FencedError):
            return {}  # another collector, or a writer that takes its time
        return {}

    def forget(host: int) -> dict[str, Files]:
        Kit(store, tmp_path / f"forgetter {host}").forget(oldest)
        return {}

    with ThreadPoolExecutor(WRITERS + 3) as pool:
        work = [write] * WRITERS + [collect] * 2 + [forget]
        running = [pool.submit(act, number) for number, act in enumerate(work)]
        made_by_them = [one.result(timeout=120) for one in running]
    wanted: dict[str, Files] = {newest: SECOND}
    for found in made_by_them:
        wanted |= found
    assert len(wanted) == 1 + WRITERS * BACKUPS
    check_invariants(Kit(store, tmp_path / f"judge {os.getpid()}"), wanted)
