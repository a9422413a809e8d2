"""Projects of CodeBuild in a template: moto's CloudFormation knows none."""

from __future__ import annotations

from typing import Any

from moto.codebuild.models import codebuild_backends
from moto.core.common_models import CloudFormationModel


class Project(CloudFormationModel):
    """A project that a stack has made."""

    __module__ = "moto.codebuild.models"  # moto keys its models by module

    def __init__(self, name: str, arn: str) -> None:
        self.name, self.arn = name, arn

    @staticmethod
    def cloudformation_name_type() -> str:
        """Tell which property is the name."""
        return "Name"

    @staticmethod
    def cloudformation_type() -> str:
        """Tell the kind of resource."""
        return "AWS::CodeBuild::Project"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Tell which attributes there are."""
        return attr == "Arn"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> Project:
        """Make the project that the template says."""
        said = cloudformation_json["Properties"]
        source = said["Source"]
        made = codebuild_backends[account_id][region_name].create_project(
            project_name=resource_name,
            description=said.get("Description"),
            project_source={"type": source["Type"], "buildspec": source["BuildSpec"]},
            artifacts={"type": said["Artifacts"]["Type"]},
            environment={_lowered(key): value for key, value in said["Environment"].items()},
            service_role=said["ServiceRole"],
            tags=[{"key": one["Key"], "value": one["Value"]} for one in said.get("Tags", ())],
            cache=None,
            timeout=said.get("TimeoutInMinutes"),
            queued_timeout=said.get("QueuedTimeoutInMinutes"),
            source_version=None,
            logs_config={
                "cloudWatchLogs": {
                    _lowered(key): value
                    for key, value in said["LogsConfig"]["CloudWatchLogs"].items()
                }
            },
            vpc_config=None,
        )
        return cls(resource_name, made["arn"])

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> None:
        """Delete it with its stack."""
        codebuild_backends[account_id][region_name].delete_project(resource_name)

    @property
    def physical_resource_id(self) -> str:
        """What ``Ref`` gives."""
        return self.name

    def get_cfn_attribute(self, attribute_name: str) -> str:
        """What ``Fn::GetAtt`` gives."""
        return self.arn

    def is_created(self) -> bool:
        """Tell that it is there at once."""
        return True


def _lowered(name: str) -> str:
    return f"{name[0].lower()}{name[1:]}"
