"""What a machine of CodeBuild does to build an image, and the archive that it is told it in: pure.

All that differs between builds is in the archive, the commands too: a stack that an older version
made builds for a newer one. Nothing secret is in it.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from shlex import quote

from dask_knot.aws.template.builds import SOURCE
from dask_knot.image.dockerfile import FOLDER

#: What the log says between the parts of a build, for `buildlog`.
BUILDING, PUSHING, DONE = (f"### dask-knot: {word}" for word in ("building", "pushing", "done"))
#: Where the files of the image lie in the archive.
CONTEXT = "context"
#: Registries of ECR, with their regions.
ECR = re.compile(r"\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z0-9.]+")
#: Where Docker's own images are as well. Docker Hub counts the pulls of all who build at AWS with
#: the same address, and soon refuses them.
MIRROR = "public.ecr.aws/docker/library"

SCRIPT = """\
set -eu
source="s3://${source}"
aws s3 rm --quiet "$source.tar"
options=""
{secrets}{logins}{bases}echo "{building}"
DOCKER_BUILDKIT=1 docker build --progress plain{network} $options \\
    --file {context}/{folder}/Dockerfile --tag {name} {context}
echo "{pushing}"
docker push --quiet {name}
echo "{done}"
"""
#: In memory, and gone from the bucket before anything is built.
SECRETS = """\
secrets=$(mktemp -d /dev/shm/dask-knot.XXXXXX)
trap 'rm -rf "$secrets"' EXIT
aws s3 cp --quiet "$source.secrets" - | tar xz -C "$secrets"
aws s3 rm --quiet "$source.secrets"
for file in "$secrets"/*; do options="$options --secret id=$(basename "$file"),src=$file"; done
"""
LOGIN = """\
aws ecr get-login-password --region {region} \\
    | docker login --username AWS --password-stdin {registry} > /dev/null
"""


#: If that fails, the build tries Docker Hub.
BASE = """\
docker image inspect {base} > /dev/null 2>&1 \\
    || {{ docker pull --quiet {mirror}/{base} && docker tag {mirror}/{base} {base}; }} || true
"""


def script(name: str, dockerfile: str, network: str | None, has_secrets: bool) -> str:
    """Write the commands that build and push an image.

    Parameters
    ----------
    name : str
        The image, with its registry and tag.
    dockerfile : str
        Its Dockerfile: images of other registries of ECR may be named there.
    network : str, optional
        The network of the build.
    has_secrets : bool
        Whether there is a second archive, whose files are the secrets of the build.
    """
    bases = _bases(dockerfile)
    logins = "".join(
        LOGIN.format(region=region, registry=registry)
        for registry, region in _registries([name, *bases]).items()
    )
    official = [base for base in bases if re.fullmatch(r"[a-z0-9][a-z0-9:._-]*", base)]
    return SCRIPT.format(
        source=SOURCE,
        secrets=SECRETS if has_secrets else "",
        logins=logins,
        bases="".join(BASE.format(base=base, mirror=MIRROR) for base in official),
        network=f" --network {quote(network)}" if network else "",
        context=CONTEXT,
        folder=FOLDER,
        name=quote(name),
        building=BUILDING,
        pushing=PUSHING,
        done=DONE,
    )


def _bases(dockerfile: str) -> list[str]:
    """Name the images that a Dockerfile starts from, without its own stages."""
    lines = re.findall(r"^\s*FROM\s+(.*)", dockerfile, re.MULTILINE | re.IGNORECASE)
    found, stages = dict[str, None](), {"scratch"}
    for words in ([word for word in line.split() if word[:2] != "--"] for line in lines):
        if words and words[0] not in stages:
            found[words[0]] = None
        stages |= set(words[2:3])  # FROM image AS stage
    return list(found)


def _registries(images: Iterable[str]) -> dict[str, str]:
    """Find the registries of ECR among the names of images, with their regions."""
    found = (ECR.match(image) for image in images)
    return {match[0]: match[1] for match in found if match}


def archive(files: Mapping[str, bytes]) -> bytes:
    """Pack files, by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=3) as tar:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def source(commands: str, context: Mapping[str, bytes]) -> bytes:
    """Pack what an image is made of, with the commands that make it."""
    inside = {f"{CONTEXT}/{name}": data for name, data in context.items()}
    return archive({**inside, "build.sh": commands.encode()})
