"""RDS and Aurora: snapshots, copies, and recoveries to a moment."""
