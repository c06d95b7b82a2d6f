"""``strongroom archive recompress``."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.app.archives.place import place_of
from strongroom.app.archives.recompressing import recompress_archives
from strongroom.cli.job import job
from strongroom.cli.quantities import counted, size


def run(  # noqa: PLR0913 - one for each option
    *,
    names: Sequence[str],
    older_than: int | None,
    form: str | None,
    level: int | None,
    jobs: int | None,
    project: str,
    folder: str | None,
) -> int:
    """Recompress archives."""
    with job(progress=True) as one:
        place = place_of(one.run, project, folder)
        done, saved = 0, 0
        with one.progress:
            for each in recompress_archives(one.run, place, names, older_than, (form, level, jobs)):
                one.output.record(
                    "recompressed",
                    id=str(each.one.id),
                    bytes_before=each.before,
                    bytes_after=each.after,
                    kept=each.kept or None,
                )
                with one.progress.pause():
                    if each.kept:
                        one.output.line(f"{each.one.id} stays as it is: {each.kept}")
                        continue
                    one.output.line(f"{each.one.id}: {size(each.before)} -> {size(each.after)}")
                done += 1
                saved += each.before - each.after
        one.output.record("summary", recompressed=done, bytes_saved=saved)
        one.output.line(f"{counted(done, 'archive')} recompressed, {size(saved)} saved")
    return 0
