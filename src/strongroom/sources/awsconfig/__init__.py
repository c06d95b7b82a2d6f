"""Configuration in AWS as a source: parameters, secrets and stacks."""
