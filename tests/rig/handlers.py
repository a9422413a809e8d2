"""What CloudFormation calls by itself for each kind of resource, as AWS publishes it.

The schema of a kind lists the permissions of its handlers. They cover every property that the kind
has; those that only properties need which our templates never set are in `NOT_OURS`, with why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

REGION = "us-east-1"
#: What only a property needs that not all of our resources have: by a word of their template.
ONLY_WITH = {
    "ManagedPolicyArns": frozenset({"iam:AttachRolePolicy", "iam:DetachRolePolicy"}),
    "PermissionsBoundary": frozenset(
        {"iam:PutRolePermissionsBoundary", "iam:DeleteRolePermissionsBoundary"}
    ),
}
HANDLERS = ("create", "read", "update", "delete")

#: Permissions by pattern, all in lower case, that handlers list and our resources don't need.
NOT_OURS = {
    r"eks:.*": "compute environments here are on ECS, not on EKS",
    r"s3tables:.*|s3:.*metadata.*tableconfiguration": "no metadata tables",
    r"vpc-lattice:.*|vpce:allowmultiregion": "the endpoint is a gateway to S3 in the same region",
    r"firehose:.*|s3:rest\.put\.object|logs:createlogdelivery|logs:putbearertokenauthentication": (
        "logs are not delivered elsewhere"
    ),
    r"logs:(put|delete)(dataprotectionpolicy|indexpolicy|resourcepolicy)": "no policies on logs",
    r"logs:(dis)?associatekmskey|logs:putloggroupdeletionprotection": "properties never set",
    r"kms:.*": "images are encrypted with ECR's own key",
    r"ecr:(set|delete)repositorypolicy": "the repository has no policy",
    r"ecr:putimage(scanningconfiguration|tagmutability)": "properties never set",
    r"s3:put(accelerate|analytics|intelligenttiering|inventory|metrics|replication"
    r"|objectlock)configuration": "properties never set",
    r"s3:put(bucketabac|bucketacl|bucketcors|bucketlogging|bucketnotification"
    r"|bucketobjectlockconfiguration|bucketreplication|bucketversioning|bucketwebsite|objectacl)": (
        "properties never set"
    ),
    r"s3:deletebucket(analyticsconfiguration|cors|metricsconfiguration|replication|website)": (
        "properties never set"
    ),
    r"s3:deletebucket(encryption|lifecycle)": "properties always set, so never taken away",
    r"ec2:(authorize|revoke)securitygroupingress": "nothing comes in",
    r"ec2:updatesecuritygroupruledescriptions(e|in)gress": "the description never changes",
    r"ec2:(dis)?associatesubnetcidrblock": "subnets have one range, which never changes",
    r"ec2:createvpcencryptioncontrol|ec2:modifyvpctenancy": "properties never set",
    r"ec2:(attach|detach)vpngateway|ec2:describevpngateways": "the gateway is to the internet",
    r"ec2:replaceroute|ec2:replaceroutetableassociation": "routes never change",
    r"iam:updaterole(description)?": "properties never set",
}


#: Kinds whose handlers AWS doesn't publish: what their names say, and roles that are passed on.
UNPUBLISHED = {
    "AWS::CodeBuild::Project": {
        "create": {"codebuild:CreateProject", "iam:PassRole"},
        "read": {"codebuild:BatchGetProjects"},
        "update": {"codebuild:UpdateProject", "iam:PassRole"},
        "delete": {"codebuild:DeleteProject"},
    }
}


@cache
def calls(kind: str, handlers: Sequence[str] = HANDLERS) -> frozenset[str]:
    """Give the permissions that handlers of a kind of resource list."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema.get("handlers")
    published = {name: one.get("permissions", ()) for name, one in (schema or {}).items()}
    found = ((published or UNPUBLISHED[kind]).get(name, ()) for name in handlers)
    return frozenset(action for some in found for action in some)


def permissions(kind: str) -> frozenset[str]:
    """Give what all the handlers of a kind of resource list, in lower case."""
    return frozenset(action.lower() for action in calls(kind))


def is_ours(action: str) -> bool:
    """Tell whether our resources need a permission that handlers list."""
    return not any(re.fullmatch(pattern, action.lower()) for pattern in NOT_OURS)


def without_property(template: str) -> frozenset[str]:
    """Give the permissions that a template, or a part of one, has no property for."""
    return frozenset().union(*(some for word, some in ONLY_WITH.items() if word not in template))
