"""Everything that can be set, checked and resolved once."""
