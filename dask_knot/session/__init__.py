"""One client's hold on a run: what plans, submits, watches and reads, without Dask's scheduler."""
