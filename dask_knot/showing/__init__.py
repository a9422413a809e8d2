"""What people see of jobs: Dask's task stream, the Knot page, progress bars and drawn plans."""
