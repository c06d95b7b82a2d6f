"""What a person decided: flags, environment variables and ``strongroom.toml``, each with its origin."""
