"""Every rule of the protocol, each with the sentence that a reader of the design knows it by.

A rule can be taken away, ``ALL_RULES.without("killed_is_absent")``, to look for the shortest trace
in which something then goes wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any


def _rule(sentence: str) -> Any:  # noqa: ANN401 - as dataclasses.field, the field has its own type
    return field(default=True, metadata={"sentence": sentence})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules that hold; a field set to False is a rule taken away."""

    # Writer
    session_before_gc: bool = _rule("a writer puts its session before it lists gc")
    gc_before_packs: bool = _rule("a writer lists gc before it lists packs")
    packs_before_index: bool = _rule("a writer lists packs before it lists the index")
    listed_packs_only: bool = _rule("a writer relies only on packs in its listing of packs")
    tombed_is_absent: bool = _rule("what an unfinished run tombs counts as absent for a writer")
    killed_is_absent: bool = _rule("what any kills names is absent for ever, listed or not")
    chunks_of_own_domain: bool = _rule(
        "a chunk in a pack of another domain does not count for a writer"
    )
    quarantined_is_absent: bool = _rule("a writer relies on no pack that is in quarantine")
    upload_before_index: bool = _rule("a writer's index names only packs whose put returned")
    index_before_commit: bool = _rule("a writer puts its index before its COMMIT")
    commit_syncs: bool = _rule("a writer makes durable what it relies on before its COMMIT")
    keys_used_once: bool = _rule("no key is used twice: no other object gets the name of a pack")
    writers_delete_nothing: bool = _rule("a writer deletes nothing, not even what it uploaded")

    # Decision of a session
    one_decision: bool = _rule("COMMIT and ABORT are put-if-absent at one key: one of them wins")
    abort_stays: bool = _rule("nobody deletes an ABORT")

    # Runs
    runs_in_turn: bool = _rule("run n+1 starts only when run n is done")
    unfinished_is_finished: bool = _rule("whoever finds an unfinished run finishes it")
    adopter_goes_on: bool = _rule("an adopter goes on where the run stands; with kills it deletes")

    # Steps 1 and 2: mark and put tombs
    roots_before_packs: bool = _rule("steps 1, 2: commits and orders are read before packs, index")
    held_is_live: bool = _rule("step 1: a held snapshot is a live root, forgotten or not")
    last_good_is_live: bool = _rule(
        "steps 1, 4: the last complete snapshot of a source is live, unless an order allows empty"
    )
    tombs_name_commits: bool = _rule("step 2: tombs name commits too, not only packs and index")
    first_tombs_rule: bool = _rule("step 2: the tombs that exist rule owner and adopter alike")

    # Step 3: wait
    sessions_after_tombs: bool = _rule("step 3: sessions are listed after tombs were put")
    first_waits_rule: bool = _rule("step 3: the waits that exist rule owner and adopter alike")
    adopter_waits: bool = _rule("step 3: an adopter waits like the owner of the run")
    only_decision_ends_wait: bool = _rule("step 3: only a COMMIT or ABORT ends a wait")

    # Step 4: read again, decide, put kills
    commits_read_again: bool = _rule("step 4: commits are read again")
    orders_read_again: bool = _rule("step 4: orders are read again")
    packs_read_again: bool = _rule("step 4: packs are read again")
    index_read_again: bool = _rule("step 4: the index is read again")
    roots_before_packs_again: bool = _rule("step 4: commits and orders are read before packs")
    untombed_is_root: bool = _rule("step 4: every commit that is not in tombs is a root")
    kills_within_tombs: bool = _rule("step 4: kills name nothing that tombs do not name")
    root_commit_stays: bool = _rule("step 4: the commit of a root is left out of kills")
    needed_pack_stays: bool = _rule(
        "step 4: a pack holding a root's chunk that no staying pack holds is left out of kills"
    )
    needed_segment_stays: bool = _rule(
        "step 4: a segment with an entry whose pack is not killed and that no staying segment has"
        " is left out of kills"
    )
    damage_stops: bool = _rule("step 4: a chunk found nowhere stops the run: it kills nothing")
    damage_is_checked: bool = _rule(
        "what is missed is damage only if, looked at again, the run has not moved on and it is"
        " missed still"
    )
    kills_sync: bool = _rule("step 4: a collector makes durable what stays before it puts kills")
    kills_sync_decisions: bool = _rule(
        "step 4: a collector makes durable the commits and orders that it goes by before it puts"
        " kills"
    )
    adopter_syncs: bool = _rule("step 5: an adopter makes kills durable before it deletes")
    first_kills_rule: bool = _rule("step 4: the kills that exist rule owner and adopter alike")

    # Step 5: delete
    index_deleted_first: bool = _rule("step 5: index segments are deleted before packs")
    sessions_deleted_last: bool = _rule("step 5: the sessions in waits are deleted last")
    decided_sessions_only: bool = _rule("step 5: a session is deleted only if it is decided")
    done_after_deletes: bool = _rule("step 5: done is put after the deletes")

    # Compaction and repack
    entries_of_own_domain: bool = _rule(
        "step 4: a staying segment has an entry only if it is of the same domain"
    )
    supersedes_in_domain: bool = _rule("a segment supersedes only segments of its own domain")
    merge_keeps_entries: bool = _rule("compaction drops an entry only if a kills names its pack")
    repack_before_tombs: bool = _rule("a repack puts its new pack and segment before tombs")
    repacked_goes_by_kills: bool = _rule("a repacked pack goes only by the kills of that run")

    # Un-forget and hold
    unforget_is_commit: bool = _rule("an un-forget is the COMMIT of its session")
    hold_is_commit: bool = _rule("a hold is the COMMIT of its session")
    target_after_gc: bool = _rule("un-forget and hold look at their target after listing gc")
    missing_target_refused: bool = _rule("un-forget and hold are refused without their target")
    tombed_target_refused: bool = _rule(
        "un-forget and hold are refused if an unfinished run tombs their target"
    )
    goes_with_target: bool = _rule("the COMMIT of an un-forget or hold goes only with its target")
    goes_with_all_targets: bool = _rule(
        "the COMMIT of an un-forget or hold of several snapshots goes only with all of them"
    )
    cancels_for_targets: bool = _rule("an un-forget cancels a forget for its own targets alone")
    release_names_holds: bool = _rule("a release names holds, not the snapshot that they hold")

    # WAL
    base_needs_its_wal: bool = _rule(
        "a base backup commits only if the WAL from its start to its end is there, not tombed by an"
        " unfinished run and named by no kills"
    )
    no_base_no_expiry: bool = _rule("without a complete live base backup no WAL is tombed")
    complete_base_only: bool = _rule("a base backup that is not complete lets no WAL go")
    cut_follows_history: bool = _rule(
        "WAL is tombed that comes before the start of a live base backup in the history of its"
        " timeline"
    )
    waits_protect_wal: bool = _rule(
        "WAL that an open session may need is tombed too: the wait and step 4 protect it"
    )
    unknown_may_be_needed: bool = _rule(
        "WAL of a timeline of which no history is there may be needed by every base backup of an"
        " earlier one"
    )
    old_base_needs_its_own: bool = _rule(
        "a base backup that is older than the window needs the WAL from its start to its end"
    )
    window_is_reached: bool = _rule(
        "the last complete base backup of a timeline before the window needs all that follows it"
    )
    window_follows_forks: bool = _rule(
        "a base backup takes the place of an older one only for timelines that lead through it"
    )
    needed_wal_stays: bool = _rule("step 4: WAL that a root needs is left out of kills")

    # Weaker mode
    conditional_puts: bool = _rule("tombs, waits and kills are put-if-absent")
    one_collector: bool = _rule("weaker mode: a collector works only while it is alone")
    named_dead_is_dead: bool = _rule("weaker mode: a session that a person says is dead is dead")

    looks_before_it_says: bool = _rule(
        "ABORT at a key of its own: a writer looks for it after its COMMIT, before it says success"
    )
    kills_name_fenced: bool = _rule(
        "ABORT at a key of its own: kills name the commit key of a session that was fenced"
    )

    # Damage
    unreadable_gc_trusts_nothing: bool = _rule(
        "a writer that cannot read all of gc relies on nothing that was there before"
    )
    unreadable_commit_stops: bool = _rule("a commit that cannot be read stops collection")
    unreadable_order_stops: bool = _rule("an order that cannot be read stops collection")
    unreadable_segment_stops: bool = _rule("an index segment that cannot be read stops collection")
    unreadable_kills_stop: bool = _rule("kills that cannot be read stop collection")
    empty_kills_end_a_run: bool = _rule(
        "a run of which tombs or waits cannot be read is ended by empty kills, and not by a void"
    )
    void_kills_are_doubtful: bool = _rule(
        "what the tombs of a run name whose kills are void may be deleted at any time: it is relied"
        " on by no writer, saves no target, and nothing goes because it is there"
    )
    anything_ends_wait: bool = _rule(
        "step 3: whatever stands at its commit key decides a session, if it can be read or not"
    )
    void_stays: bool = _rule("what is void at a commit key is never deleted")
    void_takes_the_key: bool = _rule("whoever voids a commit that is gone first puts ABORT there")
    lost_head_stops: bool = _rule(
        "a commit or order that others name, and that is gone without a kills, stops collection"
    )
    heads_name_bytes: bool = _rule("a head is lost too if something else stands at its key")
    kills_name_heads: bool = _rule("kills name the heads of what stays")
    orphans_by_header: bool = _rule(
        "where collection stops in one domain, a pack that no segment names is of the domain that"
        " its header says"
    )
    quarantined_counts_not: bool = _rule("nothing goes because a pack in quarantine holds it too")

    def without(self, *names: str) -> Rules:
        """Return the rules that remain when some are taken away."""
        return replace(self, **dict.fromkeys(names, False))


ALL_RULES = Rules()

SENTENCES: dict[str, str] = {rule.name: rule.metadata["sentence"] for rule in fields(Rules)}
"""Rule, and what it says."""
