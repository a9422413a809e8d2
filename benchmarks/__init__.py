"""Times of KnotCluster beside those of LocalCluster and of a bare process pool."""
