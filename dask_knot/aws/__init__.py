"""The AWS account: the only room that knows boto3."""
