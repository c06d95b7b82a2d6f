"""Amazon RDS and Aurora: what is there, its settings, and what clients find it by."""
