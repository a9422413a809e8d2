"""What people look at: task stream, Knot page, progress, drawn plans."""
