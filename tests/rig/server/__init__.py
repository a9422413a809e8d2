"""The emulated AWS: moto's server, with an AWS Batch that runs containers as the real one does."""
