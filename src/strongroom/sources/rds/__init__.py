"""What is known of an instance of RDS, as a source."""
