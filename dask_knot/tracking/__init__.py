"""What becomes of every key: events in, actions out. Pure: no clock, network or file."""
