"""``strongroom restore``: the options say what of the kinds is meant, and only that is loaded."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.consent import Consent
from strongroom.cli.loading import work
from strongroom.cli.restore_options import Configuration, Database, ToBucket, taken_from

_OF_CONFIGURATION: Final = (
    "configuration",
    "stack",
    "to_stack",
    "stack_parameters",
    "parameters",
    "secrets",
    "mapped",
    "region",
    "kms_key",
    "no_pre_backup",
)
_OF_BOTH: Final = ("source", "undo")  # of databases too
_OF_FILES: Final = (
    "to",
    "include",
    "exclude",
    "overwrite",
    "into_existing",
    "numeric_owner",
    "owner_map",
    "group_map",
)
_DATABASE_TAKES: Final = (
    "a database takes --to-database, --replace, --undo, --resume, --table, --schema, "
    "--globals, --source, --server, --environment, --no-owner, --dry-run and --confirm"
)


def run(  # noqa: PLR0913 - one for each option of them all
    snapshot: str | None,
    *,
    delete: bool,
    verify: bool,
    no_owner: bool,
    dry_run: bool,
    no_confirm: bool,
    confirm: str | None,
    environment: str | None,
    **given: Any,  # noqa: ANN401 - what is said of files, of objects, of a database, of AWS
) -> int:
    """Restore, or say what a restore would do."""
    consent = Consent(name=confirm, unasked=no_confirm)
    if dry_run and consent:
        raise click.UsageError("--dry-run asks nothing anyway; give it or --no-confirm")
    common: dict[str, Any] = {"environment": environment, "consent": consent, "dry_run": dry_run}
    files = {name: given.pop(name) for name in _OF_FILES}
    of_files = any(files.values())
    objects = taken_from(given)
    configuration = {name: given.pop(name) for name in _OF_CONFIGURATION}
    if any(objects):
        said = ToBucket(objects, delete, verify, environment or "", dry_run, consent)
        others = configuration | given
        refused = of_files or no_owner
        options = {"snapshot": snapshot, "said": said, "others": others, "refused": refused}
        return work("restore_bucket", options, "run_bucket")
    if any(configuration.values()):
        if of_files or no_owner or verify:
            raise click.UsageError("configuration in AWS is not restored into a folder that way")
        configuration |= {name: given.pop(name) for name in _OF_BOTH}
        if any(given.values()):
            raise click.UsageError("restore a database and configuration in AWS by themselves")
        wanted = Configuration(**configuration, **common, delete=delete)
        return work(
            "restore_configuration", {"snapshot": snapshot, "said": wanted}, "run_configuration"
        )
    if any(given.values()):
        if of_files or delete or verify:
            raise click.UsageError(_DATABASE_TAKES)
        database = Database(**given, **common, no_owner=no_owner)
        return work("restore_database", {"snapshot": snapshot, "said": database}, "run_database")
    folder = files | common | {"delete": delete, "verify": verify, "no_owner": no_owner}
    return work("restore_folder", {"snapshot": snapshot} | folder, "run_folder")
