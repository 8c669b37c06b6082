"""The configuration for OpenSSH's client."""

from pathlib import Path

from podwire.scripts.cluster.layout import layout
from podwire.scripts.cluster.ssh_files import config

PLAN = layout(1, "", {}, {})


def test_each_machine_is_a_host_and_its_name_the_user() -> None:
    text = config(PLAN, 2222, Path("/c/ssh_key"), Path("/c/pki/known"))
    assert "Host control-plane\n    User control-plane\nHost node-1\n    User node-1\n" in text
    assert "Host control-plane node-1 external\n    HostName 127.0.0.1\n    Port 2222\n" in text


def test_spaces_and_percent_signs_in_paths_are_kept() -> None:
    text = config(PLAN, 2222, Path("/a b/50%/key"), Path("/c"))
    assert 'IdentityFile "/a b/50%%/key"' in text
