"""What IAM has to allow each of those who work with a repository; pure."""
