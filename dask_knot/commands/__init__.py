"""What the command line is made of: its options, what it prints, the file that it writes."""
