"""The image of the jobs, from the environment that is here."""
