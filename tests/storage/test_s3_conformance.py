"""A store in a bucket keeps the promises of ``Store``, on two servers that were made apart."""

from __future__ import annotations

from pathlib import Path

import pytest

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
