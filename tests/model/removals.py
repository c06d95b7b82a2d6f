"""What goes wrong when a rule is taken away: the shortest way to it, as golden values."""

from __future__ import annotations

from typing import NamedTuple

from tests.model.configurations import CONFIGURATIONS
from tests.model.explore import Found
from tests.model.properties import DATA_LOSS, Breach


class Removal(NamedTuple):
    """Rules that are taken away, and the breach that follows after so many steps."""

    rules: tuple[str, ...]
    configuration: str
    breach: Breach
    steps: int

    def __str__(self) -> str:
        """Return one line."""
        return f"without {' and '.join(self.rules)}: {self.configuration}"

    def search(self) -> Found:
        """Search for a loss of data; where the breach is none, for that one too."""
        configuration = CONFIGURATIONS[self.configuration]
        return configuration.search(*self.rules, watch=DATA_LOSS | {self.breach})


def _one(rule: str, configuration: str, breach: Breach, steps: int) -> Removal:
    return Removal((rule,), configuration, breach, steps)


NEEDED: list[Removal] = [
    _one("session_before_gc", "writer", Breach.LOST, 18),
    _one("tombed_is_absent", "writer", Breach.LOST, 18),
    _one("tombed_is_absent", "base backup", Breach.LOST, 18),
    _one("killed_is_absent", "upload sent twice", Breach.LOST, 31),
    _one("killed_is_absent", "COMMIT sent twice", Breach.LOST, 31),
    _one("killed_is_absent", "WAL pushed again", Breach.LOST, 25),
    _one("chunks_of_own_domain", "writers of two domains", Breach.LOST, 5),
    _one("quarantined_is_absent", "quarantine", Breach.LOST, 7),
    _one("upload_before_index", "two writers", Breach.GARBAGE, 5),
    _one("index_before_commit", "two writers", Breach.NO_INDEX, 6),
    _one("commit_syncs", "power cut", Breach.NO_INDEX, 12),
    _one("keys_used_once", "writer", Breach.LOST, 20),
    _one("writers_delete_nothing", "two writers", Breach.LOST, 22),
    _one("one_decision", "writer", Breach.LOST, 19),
    _one("abort_stays", "writer", Breach.LOST, 23),
    _one("runs_in_turn", "writer, two collectors", Breach.LOST, 33),
    _one("runs_in_turn", "compaction and repack", Breach.LOST, 28),
    _one("unfinished_is_finished", "writer", Breach.UNDONE, 6),
    _one("adopter_goes_on", "lost segment", Breach.ENDLESS, 14),
    _one("conditional_puts", "writer, two collectors", Breach.LOST, 25),
    _one("roots_before_packs", "two writers", Breach.FALSE_ALARM, 13),
    _one("held_is_live", "hold", Breach.LOST, 18),
    _one("last_good_is_live", "last good", Breach.LOST, 14),
    _one("tombs_name_commits", "writer", Breach.ENDLESS, 0),
    _one("first_tombs_rule", "writer, two collectors", Breach.LOST, 28),
    _one("sessions_after_tombs", "writer", Breach.LOST, 18),
    _one("adopter_waits", "writer, two collectors", Breach.LOST, 17),
    _one("only_decision_ends_wait", "writer", Breach.LOST, 18),
    _one("anything_ends_wait", "decision rots", Breach.ENDLESS, 7),
    _one("commits_read_again", "writer", Breach.LOST, 18),
    _one("packs_read_again", "two writers", Breach.FALSE_ALARM, 26),
    _one("index_read_again", "two writers", Breach.FALSE_ALARM, 20),
    _one("roots_before_packs_again", "partly known", Breach.FALSE_ALARM, 20),
    _one("untombed_is_root", "COMMIT sent twice", Breach.LOST, 25),
    _one("kills_within_tombs", "writer", Breach.LOST, 20),
    _one("root_commit_stays", "un-forget, shared pack", Breach.LOST, 17),
    _one("needed_pack_stays", "writer", Breach.LOST, 18),
    _one("needed_segment_stays", "writer", Breach.NO_INDEX, 18),
    _one("damage_stops", "lost segment", Breach.LOST, 14),
    _one("damage_is_checked", "writer, two collectors", Breach.FALSE_ALARM, 19),
    _one("damage_is_checked", "heads", Breach.FALSE_ALARM, 12),
    _one("kills_sync", "power cut", Breach.NO_INDEX, 27),
    _one("kills_sync", "power cut, compaction", Breach.NO_INDEX, 20),
    _one("kills_sync_decisions", "power cut, forget", Breach.LOST, 15),
    _one("kills_sync_decisions", "power cut, last good", Breach.LOST, 21),
    _one("first_kills_rule", "writer, two collectors", Breach.NO_INDEX, 26),
    _one("index_deleted_first", "kills rot", Breach.GARBAGE, 16),
    _one("adopter_syncs", "power cut, adoption", Breach.STOPPED, 17),
    _one("decided_sessions_only", "tombs rot, un-forget", Breach.LOST, 30),
    _one("merge_keeps_entries", "compaction", Breach.NO_INDEX, 26),
    _one("entries_of_own_domain", "foreign pack", Breach.NO_INDEX, 19),
    _one("supersedes_in_domain", "foreign index", Breach.NO_INDEX, 1),
    _one("repacked_goes_by_kills", "repack", Breach.LOST, 13),
    _one("unforget_is_commit", "un-forget", Breach.LOST, 18),
    _one("hold_is_commit", "hold", Breach.LOST, 16),
    _one("tombed_target_refused", "un-forget", Breach.LOST, 17),
    _one("goes_with_target", "un-forget", Breach.LOST, 33),
    _one("goes_with_all_targets", "two targets", Breach.LOST, 37),
    _one("cancels_for_targets", "one of two targets", Breach.GARBAGE, 4),
    _one("release_names_holds", "release", Breach.LOST, 14),
    _one("base_needs_its_wal", "base backup", Breach.LOST, 18),
    _one("no_base_no_expiry", "archive", Breach.LOST, 14),
    _one("complete_base_only", "incomplete base backup", Breach.LOST, 14),
    _one("cut_follows_history", "timelines", Breach.LOST, 13),
    _one("waits_protect_wal", "archive", Breach.GARBAGE, 1),
    _one("unknown_may_be_needed", "history not there", Breach.LOST, 13),
    _one("old_base_needs_its_own", "window", Breach.LOST, 13),
    _one("window_is_reached", "window", Breach.LOST, 13),
    _one("window_follows_forks", "window and timelines", Breach.LOST, 13),
    _one("needed_wal_stays", "base backup", Breach.LOST, 18),
    _one("needed_wal_stays", "un-forget of a base backup", Breach.LOST, 17),
    _one("one_collector", "weaker mode, two packs", Breach.NO_INDEX, 27),
    _one("named_dead_is_dead", "weaker mode", Breach.LOST, 7),
    _one("named_dead_is_dead", "weaker mode, two packs", Breach.NO_INDEX, 33),
    _one("looks_before_it_says", "ABORT beside COMMIT", Breach.LOST, 21),
    _one("kills_name_fenced", "ABORT beside COMMIT", Breach.FALSE_ALARM, 32),
    _one("unreadable_gc_trusts_nothing", "kills rot, writer", Breach.LOST, 22),
    _one("unreadable_gc_trusts_nothing", "tombs rot, writer", Breach.LOST, 20),
    _one("unreadable_commit_stops", "snapshot rots", Breach.LOST, 14),
    _one("unreadable_commit_stops", "hold rots", Breach.LOST, 19),
    _one("unreadable_order_stops", "quarantine rots", Breach.LOST, 23),
    _one("unreadable_segment_stops", "index rots", Breach.NO_ALARM, 7),
    _one("unreadable_kills_stop", "kills rot", Breach.ENDLESS, 14),
    _one("empty_kills_end_a_run", "tombs rot", Breach.LOST, 29),
    _one("empty_kills_end_a_run", "waits rot", Breach.LOST, 22),
    _one("void_kills_are_doubtful", "kills rot", Breach.LOST, 29),
    _one("void_kills_are_doubtful", "kills rot, writer", Breach.LOST, 22),
    _one("void_kills_are_doubtful", "kills rot, un-forget", Breach.LOST, 20),
    _one("void_stays", "decision rots", Breach.LOST, 40),
    _one("void_takes_the_key", "ABORT lost", Breach.LOST, 21),
    _one("lost_head_stops", "snapshot lost", Breach.LOST, 14),
    _one("lost_head_stops", "quarantine lost", Breach.LOST, 23),
    _one("heads_name_bytes", "snapshot lost", Breach.LOST, 15),
    _one("kills_name_heads", "snapshot lost, its witness goes", Breach.LOST, 31),
    _one("orphans_by_header", "index of one domain rots", Breach.LOST, 20),
    _one("quarantined_counts_not", "quarantine", Breach.LOST, 22),
]
"""Rules without which something breaks."""

COVERED: list[Removal] = [
    Removal(("gc_before_packs", "killed_is_absent"), "two writers", Breach.LOST, 28),
    Removal(("listed_packs_only", "killed_is_absent"), "compaction", Breach.LOST, 23),
    Removal(("done_after_deletes", "killed_is_absent"), "writer", Breach.NO_INDEX, 20),
    Removal(("target_after_gc", "killed_is_absent"), "un-forget", Breach.LOST, 21),
    Removal(("missing_target_refused", "killed_is_absent"), "un-forget", Breach.LOST, 21),
    Removal(("orders_read_again", "lost_head_stops"), "quarantine", Breach.LOST, 22),
]
"""Rules for which another one stands in: alone nothing breaks, without both something does."""

NOT_NEEDED: dict[str, str] = {
    "packs_before_index": "either order will do: what is relied on must be in both listings",
    "first_waits_rule": "each collector could wait for its own list; waits end the list",
    "sessions_deleted_last": "only a decided session is deleted; waits name it until done",
    "repack_before_tombs": "step 4 spares the old pack as long as the new one is not there",
}
"""Rules that are no matter of safety, and why."""
