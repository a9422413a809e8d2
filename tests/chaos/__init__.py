"""Random graphs under random faults: the outcome is right or typed, and nothing is left behind."""
