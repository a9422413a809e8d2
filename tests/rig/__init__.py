"""An AWS to test against on this machine, with real containers; see `machine.py` for its parts."""
