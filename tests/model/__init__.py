"""The protocol of commit and collect as one explicit-state model: the specification.

Every order of steps of a few processes in one store is tried, and in every state that is reached
the properties must hold (``properties``).  Each rule of the protocol (``rules``) can be taken away,
to see the shortest way in which data is then lost (``removals``).  ``python -m tests.model``
prints both.

What a step is.  Each request to the store is one step: a put, a delete, or one listing with the
reading of what it lists.  The store is consistent: a listing shows what was put and deleted before
it began.  That a listing takes many requests needs no steps of its own: until a run has its kills
nothing that counts is deleted, and what is put while somebody lists he might as well have missed.
Any process may stop between two steps, for ever or not, so dying needs no step.  That a request
whose reply was lost is sent again, and arrives late, is in ``faults``; a power cut in
``durability``.

Time.  No clock is read.  A session may be fenced, and a grace may be over, at any moment.

Not modelled, and to be modelled before it is coded:

- domains, and who may sign what (a superseding segment counts only with the admin's signature)
- expiry of WAL; manifests
- objects that cannot be read: unreadable is not absent, and an order voids them
- the weaker mode of stores without conditional puts
- heads that are missing, and what excuses them

Not modelled, because it changes nothing here:

- retention and the last good snapshot of a source, which only add live roots
- a hold that is released: the collector treats it like an un-forgotten snapshot forgotten again
- revoked writers, who are fenced like silent ones
- that a pack is verified before it leaves, and that a COMMIT waits for every producer
- index checkpoints: a session with one pack and one segment stands for one with many
- readers, who open no session: P2 says that at every moment some entry leads to a pack
- names under ``gc/`` after a power cut: one folder holds a run, and its next put syncs it
"""
