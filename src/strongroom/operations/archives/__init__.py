"""What a user does with portable archives: one module per verb."""
