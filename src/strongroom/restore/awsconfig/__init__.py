"""Configuration in AWS as a target: what has to be asked of AWS so that it is as it was."""
