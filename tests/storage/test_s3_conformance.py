"""A store in a bucket keeps the promises of ``Store``, on two servers that were made apart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strongroom.errors import ObjectExistsError
from strongroom.model.store import Store
from strongroom.storage.s3 import S3Store
from tests.storage.conformance import StoreConformance
from tests.support.aws import AwsServer
from tests.support.s3 import new_bucket, store_in


@pytest.fixture(scope="module", name="buckets")
def _buckets() -> dict[str, str]:
    """Return the bucket of each server, by its URL; a bucket takes longer to make than a test."""
    return {}


def _fresh(server: AwsServer, buckets: dict[str, str], name: str) -> S3Store:
    """Return an empty store below a prefix of its own, beside those of other tests."""
    where = server.endpoint
    if where not in buckets:
        buckets[where] = new_bucket(server)
    return store_in(server.account, buckets[where], f"Team/{name}")


class TestLocalStack(StoreConformance):
    """The suite, by the stricter judge."""

    @pytest.fixture
    def store(self, localstack: AwsServer, buckets: dict[str, str], tmp_path: Path) -> S3Store:
        """Return a fresh store."""
        return _fresh(localstack, buckets, tmp_path.name)


class TestMoto(StoreConformance):
    """The suite, by another server; what asks a thousand times of it is slow."""

    @pytest.fixture
    def store(self, moto: AwsServer, buckets: dict[str, str], tmp_path: Path) -> S3Store:
        """Return a fresh store."""
        return _fresh(moto, buckets, tmp_path.name)

    @pytest.mark.slow
    def test_a_listing_has_more_than_one_page(self, store: Store) -> None:
        """See the suite."""
        super().test_a_listing_has_more_than_one_page(store)

    @pytest.mark.slow
    def test_of_concurrent_puts_one_wins(self, store: Store) -> None:
        """See the suite."""
        super().test_of_concurrent_puts_one_wins(store)


class TestWithoutConditions(StoreConformance):
    """The suite, for a bucket that is asked for no conditional puts; it does not decide a race."""

    @pytest.fixture
    def store(self, localstack: AwsServer, buckets: dict[str, str], tmp_path: Path) -> S3Store:
        """Return a fresh store."""
        store = _fresh(localstack, buckets, tmp_path.name)
        store.go_without_conditions()
        return store

    def test_of_concurrent_puts_one_wins(self, store: Store) -> None:
        """One of them is there afterwards, and nobody who says that it is not his is wrong."""
        values = [bytes([side]) * 100 for side in range(8)]
        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(lambda value: _is_put(store, value), values))
        assert any(said)
        assert store.get("raced") in [
            value for value, mine in zip(values, said, strict=True) if mine
        ]


def _is_put(store: Store, value: bytes) -> bool:
    try:
        store.put("raced", value)
    except ObjectExistsError:
        return False
    return True
