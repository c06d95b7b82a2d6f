"""What is said about RDS is checked with the rest of the file, and shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.config.environment import Environment
from strongroom.config.file import ConfigurationError
from strongroom.config.places import Flags
from strongroom.config.rds import RdsSettings, SwapSettings
from strongroom.config.reading import read_file
from strongroom.config.settings import load_settings
from tests.cli.harness import Program

pytestmark = pytest.mark.spec("C8")


def written(folder: Path, rds: str, more: str = "") -> Path:
    """Write a file with a source in RDS."""
    path = folder / "strongroom.toml"
    path.write_text(f'version = 1\n[sources.db]\ntype = "postgres"\nrds = {{ {rds} }}\n{more}\n')
    return path


@pytest.mark.parametrize(
    ("rds", "more", "said"),
    [
        ("", "", "rds: give one of instance and cluster"),
        ('instance = "a", cluster = "b"', "", "rds: give one of instance and cluster"),
        ('instance = "a_b"', "", "no identifier"),
        ('instance = "a", swap = {}', "", "swap: give ssm, cname, or both"),
        ('instance = "a", swap = { ssm = "/a", ssm_reader = "/b" }', "", "only a cluster"),
        ('instance = "a", swap = { cname = { zone = "Z" } }', "", "name: it is missing"),
        ('instance = "a", swap = { smm = "/a" }', "", "did you mean 'ssm'"),
        ('instance = "a"', "physical = true", "RDS hands out no base backups"),
        ('instance = "a"', "connection = { password = { rds_iam = false } }", "leave it out"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, rds: str, more: str, said: str) -> None:
    """Each thing is said at its key."""
    with pytest.raises(ConfigurationError) as caught:
        read_file(written(tmp_path, rds, more))
    assert said in " ".join(caught.value.details)


def test_what_is_said(tmp_path: Path) -> None:
    """Both endpoints by both ways; passwords of roles are not asked for, which RDS never gives."""
    swap = 'ssm = "/w", ssm_reader = "/r", cname = { zone = "Z", name = "w.x", reader = "r.x" }'
    path = written(tmp_path, f'cluster = "Shop", swap = {{ {swap} }}', "logical = false")
    settings = load_settings(Flags(config=str(path)), Environment({"HOME": "/h"}, tmp_path))
    found = settings.databases["db"]
    assert found.role_passwords is False
    assert found.rds == RdsSettings(
        "cluster",
        "shop",
        (
            SwapSettings("ssm", "/w"),
            SwapSettings("ssm", "/r"),
            SwapSettings("cname", "w.x", "Z"),
            SwapSettings("cname", "r.x", "Z"),
        ),
    )


def test_an_environment_has_an_instance_of_its_own(tmp_path: Path) -> None:
    """Words are filled in, and what is shown is what counts."""
    program = Program(tmp_path)
    more = "[environments.production]\n[environments.dev.sources.db]\nrds = { cluster = 'dev' }"
    written(tmp_path, 'instance = "{environment}-db", swap = { ssm = "/{environment}/h" }', more)
    records = program.good("config", "show", "--json").records
    shown = {one["key"]: one for one in records if "key" in one}
    assert shown["environments.production.sources.db.rds.instance"]["value"] == "production-db"
    assert shown["environments.production.sources.db.rds.swap.ssm"]["value"] == "/production/h"
    assert shown["environments.dev.sources.db.rds.cluster"]["value"] == "dev"
