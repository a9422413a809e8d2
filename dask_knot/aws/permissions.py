"""The permissions to make, change and delete the resources of a stack, by service: pure tables.

What CloudFormation calls for each kind of resource is published with the kind (``handlers`` in its
schema): a test compares these tables with it.
"""

from __future__ import annotations

CLOUDFORMATION = (
    "ContinueUpdateRollback",
    "CreateStack",
    "DeleteStack",
    "DescribeStackEvents",
    "DescribeStacks",
    "GetTemplate",
    "ListStackResources",
    "UpdateStack",
)
ROLES = (
    "CreateRole",
    "DeleteRole",
    "DeleteRolePolicy",
    "GetRole",
    "GetRolePolicy",
    "ListAttachedRolePolicies",
    "ListRolePolicies",
    "PassRole",
    "PutRolePolicy",
    "TagRole",
    "UntagRole",
    "UpdateAssumeRolePolicy",
)
#: Beside those, with a permissions boundary.
BOUNDARY = ("DeleteRolePermissionsBoundary", "PutRolePermissionsBoundary")
PROFILES = (
    "AddRoleToInstanceProfile",
    "CreateInstanceProfile",
    "DeleteInstanceProfile",
    "GetInstanceProfile",
    "RemoveRoleFromInstanceProfile",
)
BUCKET = (
    "CreateBucket",
    "DeleteBucket",
    "DeleteBucketPolicy",
    "ListBucket",
    "ListBucketVersions",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketPublicAccessBlock",
    "PutBucketTagging",
    "PutEncryptionConfiguration",
    "PutLifecycleConfiguration",
    # CloudFormation reads back all that a bucket can be set to: some twenty calls.
    "GetBucket*",
    "Get*Configuration",
    "ListTagsForResource",
    "TagResource",
    "UntagResource",
)
OBJECTS = ("DeleteObject", "DeleteObjectVersion")
REPOSITORY = (
    "CreateRepository",
    "DeleteLifecyclePolicy",
    "DeleteRepository",
    "DescribeRepositories",
    "GetLifecyclePolicy",
    "GetRepositoryPolicy",
    "ListTagsForResource",
    "PutLifecyclePolicy",
    "TagResource",
    "UntagResource",
)
#: CloudFormation publishes no handlers for projects of CodeBuild: these are the calls themselves.
#: Roles that AWS's own solutions give CloudFormation to make them with have the first, too.
BUILDER = ("BatchGetProjects", "CreateProject", "DeleteProject", "UpdateProject")
LOGS = (
    "CreateLogGroup",
    "DeleteLogGroup",
    "DeleteRetentionPolicy",
    "DescribeIndexPolicies",
    "GetDataProtectionPolicy",
    "ListTagsForResource",
    "PutRetentionPolicy",
    "TagResource",
    "UntagResource",
)
ASK_BATCH = (
    "DescribeComputeEnvironments",
    "DescribeJobDefinitions",
    "DescribeJobQueues",
    "ListJobs",
)
BATCH = (
    "CreateComputeEnvironment",
    "CreateJobQueue",
    "DeleteComputeEnvironment",
    "DeleteJobQueue",
    "DeregisterJobDefinition",
    "SetCapacityTags",
    "TagResource",
    "UntagResource",
    "UpdateComputeEnvironment",
    "UpdateJobQueue",
)
#: EC2's actions, by what is made: what is asked for, made and deleted.
ALWAYS = (("DescribeLaunchTemplateVersions", "DescribeSubnets"), (), ())
TYPES = (("DescribeInstanceTypes",), (), ())
OFFERS = (("DescribeInstanceTypeOfferings",), (), ())
VPCS = (("DescribeVpcs",), (), ())
#: What tells whether jobs in a subnet reach what they need.
LOOK = (
    (
        "DescribeNatGateways",
        "DescribeNetworkAcls",
        "DescribeRouteTables",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeVpcAttribute",
        "DescribeVpcEndpoints",
    ),
    (),
    (),
)
GROUP = (
    ("DescribeInstances", "DescribeSecurityGroups"),
    (
        "AuthorizeSecurityGroupEgress",
        "CreateSecurityGroup",
        "CreateTags",
        "RevokeSecurityGroupEgress",
    ),
    ("DeleteSecurityGroup", "DeleteTags"),
)
LAUNCH = (
    ("DescribeLaunchTemplates",),
    ("CreateLaunchTemplate", "CreateLaunchTemplateVersion", "CreateTags"),
    ("DeleteLaunchTemplate", "DeleteTags"),
)
NETWORK = (
    (
        "DescribeAccountAttributes",
        "DescribeAvailabilityZones",
        "DescribeInternetGateways",
        "DescribeNetworkAcls",
        "DescribeNetworkInterfaces",
        "DescribeRouteTables",
        "DescribeVpcAttribute",
        "DescribeVpcEncryptionControls",
        "DescribeVpcEndpoints",
    ),
    (
        "AssociateRouteTable",
        "AttachInternetGateway",
        "CreateInternetGateway",
        "CreateRoute",
        "CreateRouteTable",
        "CreateSubnet",
        "CreateVpc",
        "CreateVpcEndpoint",
        "DeleteVpcEndpoints",
        "ModifySubnetAttribute",
        "ModifyVpcAttribute",
        "ModifyVpcEndpoint",
    ),
    (
        "DeleteInternetGateway",
        "DeleteRoute",
        "DeleteRouteTable",
        "DeleteSubnet",
        "DeleteVpc",
        "DetachInternetGateway",
        "DisassociateRouteTable",
    ),
)
