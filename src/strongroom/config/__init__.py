"""What a person decided: flags, environment and ``strongroom.toml``, each with its origin."""
