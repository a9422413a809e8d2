"""What makes KnotCluster a cluster like others: scaling, looks, ends, and being found."""
