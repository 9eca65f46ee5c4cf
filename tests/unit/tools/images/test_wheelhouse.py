"""The requirements whose wheels an image needs, whatever the patch version of its Python is."""

from metricat_tools.images.wheelhouse import for_every_patch_version

REQUIREMENTS = """\
async-timeout==5.0.1 ; python_full_version < '3.11.3' \\
    --hash=sha256:aa
    # via redis
newer==1 ; python_full_version >= '3.11.5'
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:bb
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:cc
plain==1 \\
    --hash=sha256:dd
"""


def test_requirements_of_every_patch_version_have_no_marker() -> None:
    lines = for_every_patch_version(REQUIREMENTS).splitlines()
    assert "async-timeout==5.0.1 \\" in lines
    assert "newer==1" in lines
    assert "numpy==2.4.6 \\" in lines
    assert "numpy==2.5.5 ; python_full_version >= '3.12' \\" in lines
    assert "plain==1 \\" in lines
    assert sum("--hash" in line for line in lines) == 4
