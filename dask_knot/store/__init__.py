"""Where values, shards and manifests are kept between jobs."""
