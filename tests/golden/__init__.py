"""What earlier runs wrote, to be read for ever."""
