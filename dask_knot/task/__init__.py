"""What stands in the pickle of a task: put there by the client, called in jobs."""
