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

``docs/protocol.md`` has the protocol in prose, and the tables that ``--tables`` prints.

Not modelled, because it changes nothing here:

- retention, which only puts forgets
- the fence of a revoked writer, which is that of a silent one (that its commits are forgotten
  before they are there is the configuration "revoked")
- tags, slots, epochs and origins: orders of which nothing but their names as heads matters to a
  collector
- an unreadable session, which is waited for and fenced by its key
- that a pack is verified before it leaves, and that a COMMIT waits for every producer
- index checkpoints: a session with one pack and one segment stands for one with many
- readers, who open no session: P2 says that at every moment some entry leads to a pack
- ledger, units and manifests: no decision reads them
- that an expired forget explains a head that is gone: whatever a collector deletes, a kills names
- names under ``gc/`` but kills after a power cut: one folder holds a run, and its next put syncs it
"""
