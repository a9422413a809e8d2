"""An image with Debian in it, for jobs that need Debian packages.

The rig's image ``python:X.Y-slim`` has no Debian behind it, which makes it small. This one stands
for ``python:X.Y-bookworm``: a Debian as this machine's, with the Python of that image.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.rig.machine import Rig, install

DOCKERFILE = """\
FROM {debian}
COPY --from={python} /usr/lib /tmp/lib
COPY --from={python} /opt/python /opt/python
# Debian makes the usual file of certificates anew when a package needs it.
COPY --from={python} /etc/ssl/certs/ca-certificates.crt /etc/pip.crt
ENV PIP_CERT=/etc/pip.crt PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
# Libraries that Python needs and Debian's smallest installation lacks; its own stay.
RUN tar -C /tmp/lib -c . | tar -C /usr/lib -x --skip-old-files \\
    && rm -rf /tmp/lib /usr/local && ln -s /opt/python /usr/local && ldconfig
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin
"""


def make_debian_image(rig: Rig) -> str:
    """Make the image in the rig's Docker engine, in about twenty seconds, and give its name."""
    install({"mmdebstrap": "mmdebstrap"})
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    debian, name = f"debian:{suite}", f"python:{version}-{suite}"
    with closing(rig.docker()) as client, tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "debian.tar")
        command = ["mmdebstrap", "--quiet", "--variant=apt", suite, str(archive)]
        subprocess.run(command, check=True, timeout=300)
        client.api.import_image_from_file(str(archive), repository="debian", tag=suite)
        archive.unlink()
        text = DOCKERFILE.format(debian=debian, python=f"python:{version}-slim")
        Path(folder, "Dockerfile").write_text(text)
        client.images.build(path=folder, tag=name, network_mode="host")
    return name
