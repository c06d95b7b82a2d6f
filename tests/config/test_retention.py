"""``[retention]``, ``BACKUP_RETENTION_DAYS`` and whose days count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from strongroom.config.environment import Environment
from strongroom.config.file import NAME, ConfigurationError
from strongroom.config.places import Flags
from strongroom.config.reading import read_file
from strongroom.config.retention import RetentionSettings
from strongroom.config.schema import known_keys
from strongroom.config.settings import load_settings
from strongroom.config.values import Level, Value
from strongroom.config.zones import local_zone, parse_zone
from strongroom.errors import UsageError
from strongroom.policy.amounts import ALL
from strongroom.policy.policy import Policy
from strongroom.policy.reading import RULES
from tests.policy.making import EVERY_RULE, EVERY_RULE_READ

pytestmark = pytest.mark.spec("B6")

FULL = """\
version = 1
[retention]
tags = ["monthly", "full,nightly"]
timezone = "Europe/London"
""" + "".join(f'{rule} = "{text}"\n' for rule, text in EVERY_RULE.items())


def settings(folder: Path, text: str = "", **variables: str) -> RetentionSettings:
    """Load the settings of a folder with a configuration file, if there is a text."""
    if text:
        (folder / NAME).write_text(text)
    environment = Environment({"HOME": str(folder), **variables}, folder)
    return load_settings(Flags(), environment).retention


def test_every_key(tmp_path: Path) -> None:
    """Each key is one rule."""
    found = settings(tmp_path, FULL)
    tags = (("monthly",), ("full", "nightly"))
    assert found.policy() == replace(EVERY_RULE_READ, keep_tags=tags)
    assert found.zone() == ZoneInfo("Europe/London")
    assert set(known_keys(("retention",))) == {*RULES, "tags", "timezone"}


def test_counts_may_be_numbers(tmp_path: Path) -> None:
    """A count needs no quotes."""
    text = "version = 1\n[retention]\nlast = 0\ndaily = 7\nyearly = -1\ndays = 30\nminimum = 2\n"
    wanted = Policy(keep_daily=7, keep_yearly=ALL, days=30, minimum=2)
    assert settings(tmp_path, text).policy() == wanted


def test_nothing_said_keeps_everything(tmp_path: Path) -> None:
    """Without a table and without a variable the policy is empty; so it is with a zone alone."""
    assert settings(tmp_path).policy().is_empty
    assert settings(tmp_path, "version = 1\n[retention]\ntimezone = 'UTC'\n").policy() == Policy()


def test_the_variable_wins_over_the_file(tmp_path: Path) -> None:
    """It sets the days and leaves the other rules of the file; empty, it is not set."""
    text = "version = 1\n[retention]\ndays = 7\nmonthly = 12\n"
    assert settings(tmp_path, text, BACKUP_RETENTION_DAYS="").policy().days == 7
    found = settings(tmp_path, text, BACKUP_RETENTION_DAYS="30").policy()
    assert found == Policy(days=30, keep_monthly=12)
    (tmp_path / NAME).unlink()
    assert settings(tmp_path, BACKUP_RETENTION_DAYS="30").policy() == Policy(days=30)


@pytest.mark.parametrize("text", ["0", "-3", "thirty", "30d", "1.5", "all"])
def test_a_variable_that_is_no_number_of_days(tmp_path: Path, text: str) -> None:
    """It never means to keep nothing; and it is not in the way of who does not ask for it."""
    found = settings(tmp_path, BACKUP_RETENTION_DAYS=text)
    with pytest.raises(UsageError, match=f"BACKUP_RETENTION_DAYS '{text}' is not a whole number"):
        found.policy()


def test_what_is_wrong_is_called_as_it_was_said() -> None:
    """The variable by its name, a key of the table by its own."""
    days = Value("30", "BACKUP_RETENTION_DAYS", Level.ENVIRONMENT)
    with pytest.raises(UsageError, match=r"^retention\.last 'x' is neither"):
        RetentionSettings(texts={"last": "x"}, days=days).policy()
    with pytest.raises(UsageError, match=r"^retention\.days 'x' is not a whole number"):
        RetentionSettings(texts={"days": "x"}).policy()


@pytest.mark.parametrize("text", ["daily = 0", "minimum = 3", "minimum = 3\nlast = 0"])
def test_a_table_that_keeps_nothing_by_itself(tmp_path: Path, text: str) -> None:
    """Only zeros, or only a minimum, are refused; with the variable a minimum is enough."""
    found = settings(tmp_path, f"version = 1\n[retention]\n{text}\n")
    with pytest.raises(UsageError, match="no rule that keeps anything") as refused:
        found.policy()
    assert "retention.daily with 7" in refused.value.hint
    assert settings(tmp_path, BACKUP_RETENTION_DAYS="9").policy().days == 9


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("daily = 'often'", "retention.daily: 'often' is neither a count nor a length of time. "),
        ("daily = true", "retention.daily: 'True' is neither a count"),
        ("daily = -2", "retention.daily: '-2' is neither a count"),
        ("daily = 7.5", "retention.daily: '7.5' is neither a count"),
        ("daily = [7]", "retention.daily: '[7]' is neither a count"),
        ("within = 30", "retention.within: '30' is no length of time. Give numbers"),
        ("within_daily = '0d'", "retention.within_daily: '0d' is no length of time"),
        (
            "days = 0",
            "retention.days: '0' is not a whole number of 1 or more. Give one such as 30.",
        ),
        ("minimum = 0", "retention.minimum: '0' is not a whole number"),
        ("tags = 'a'", 'retention.tags: it should be a list of texts. Write ["monthly", '),
        ("tags = [1]", "retention.tags: it should be a list of texts"),
        ("tags = ['a,']", "retention.tags: 'a,' has an empty tag"),
        ("timezone = 'Europe/Lundon'", "'Europe/Lundon' is no known time zone. Did you mean Eur"),
        ("timezone = 1", "retention.timezone: '1' is no known time zone"),
        ("wekly = 8", "retention.wekly: not a known key; did you mean 'weekly'?"),
        ("keep_daily = 8", "retention.keep_daily: not a known key; did you mean"),
    ],
)
def test_what_means_nothing_is_said_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    """Every wrong value has its line, its key, what is wrong and what would be right."""
    path = tmp_path / NAME
    path.write_text(f"version = 1\n[retention]\nlast = 3\n{line}\n")
    with pytest.raises(ConfigurationError) as refused:
        read_file(path)
    (detail,) = refused.value.details
    assert detail.startswith("line 4: retention.")
    assert said in detail


def test_retention_is_a_table(tmp_path: Path) -> None:
    """A value in the place of the table is said as for other tables."""
    path = tmp_path / NAME
    path.write_text("version = 1\nretention = 30\n")
    with pytest.raises(ConfigurationError) as refused:
        read_file(path)
    assert refused.value.details == ("line 2: retention: it should be a table",)


@pytest.mark.parametrize("text", ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires"])
def test_zones(text: str) -> None:
    """A name from the data of time zones."""
    zone = parse_zone(text, "timezone")
    offset = datetime(2026, 7, 1, tzinfo=zone).utcoffset()
    assert offset == datetime(2026, 7, 1, tzinfo=ZoneInfo(text)).utcoffset()


@pytest.mark.parametrize(
    "text",
    ["", "Europe", "europe/paris!", "../../etc/passwd", "/etc/localtime", "CET-1CEST", "a\0"],
)
def test_no_zones(text: str) -> None:
    """A folder, a path, a rule of TZ and rubbish are refused with an example."""
    with pytest.raises(UsageError, match=r"--timezone .* is no known time zone") as refused:
        parse_zone(text, "--timezone")
    assert "Give a name such as Europe/London, or UTC." in refused.value.hint


def tz(text: str) -> Value[str]:
    """Make what the variable TZ says."""
    return Value(text, "TZ", Level.ENVIRONMENT)


SUMMER = datetime(2026, 7, 1, tzinfo=UTC)


def test_the_zone_of_this_machine(tmp_path: Path) -> None:
    """TZ names it, or a file; else it is the machine's file; a machine without one has UTC."""
    data = next(Path(folder) for folder in ZONE_FOLDERS if Path(folder, "Asia/Tokyo").exists())
    hours = {
        9: [
            tz("Asia/Tokyo"),
            tz(":Asia/Tokyo"),
            tz(f"{data}/Asia/Tokyo"),
            tz(f":{data}/Asia/Tokyo"),
        ],
        2: [tz("Europe/Paris")],
    }
    for wanted, values in hours.items():
        for value in values:
            zone = local_zone(value, tmp_path / "nothing")
            assert SUMMER.astimezone(zone).utcoffset() == timedelta(hours=wanted)
    assert local_zone(None, tmp_path / "nothing") is UTC
    zone = local_zone(None, data / "Asia/Tokyo")
    assert SUMMER.astimezone(zone).utcoffset() == timedelta(hours=9)


ZONE_FOLDERS = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo")


def test_a_zone_of_this_machine_that_cannot_be_read(tmp_path: Path) -> None:
    """A zone that was named and is not there is not taken for UTC."""
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("no zone")
    for value, local in ((None, rubbish), (None, tmp_path), (tz(f":{tmp_path}/none"), rubbish)):
        with pytest.raises(UsageError, match="cannot be read as a time zone") as refused:
            local_zone(value, local)
        assert "below [retention]" in refused.value.hint
    with pytest.raises(UsageError, match="TZ 'CET-1CEST' is no known time zone"):
        local_zone(tz("CET-1CEST"))


def test_the_zone_of_the_settings(tmp_path: Path) -> None:
    """That of the file before that of the machine."""
    found = settings(tmp_path, TZ="Asia/Tokyo")
    assert SUMMER.astimezone(found.zone()).utcoffset() == timedelta(hours=9)
    found = settings(tmp_path, FULL, TZ="Asia/Tokyo")
    assert SUMMER.astimezone(found.zone()).utcoffset() == timedelta(hours=1)
