"""One module per verb: what a user does, over ports and the repository; no output, no wiring."""
