"""Files of a machine and of its containers: paths, folders, mounts, what is read-only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.services.node.files import ContainerFiles, FileError, Files, Mounted, normal


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("/a/b", "/", "/a/b"),
        ("b", "/a", "/a/b"),
        ("../b", "/a/c", "/a/b"),
        ("/a/./b//c/", "/", "/a/b/c"),
        ("/../../x", "/", "/x"),
        ("", "/a", "/a"),
    ],
)
def test_paths(path: str, folder: str, expected: str) -> None:
    assert normal(path, folder) == expected


@given(st.text(alphabet="ab./", max_size=20))
def test_a_normal_path_is_normal(path: str) -> None:
    once = normal(path)
    assert once.startswith("/") and normal(once) == once and ".." not in once.split("/")


def test_folders_are_where_files_are() -> None:
    files = Files({"/etc/cni/net.d/10.conflist": b"{}", "/etc/hosts": b""})
    files.make_folder("/empty/deep")
    assert files.entries("/etc") == ["cni", "hosts"]
    assert (files.is_folder("/etc/cni"), files.is_folder("/etc/hosts"), files.is_folder("/empty")) == (
        True,
        False,
        True,
    )
    files.remove_tree("/etc/cni")
    assert files.entries("/etc") == ["hosts"]


def test_a_folder_cannot_be_written_over() -> None:
    with pytest.raises(FileError, match="Is a directory"):
        Files({"/a/b": b""}).write("/a", b"x")


def test_a_container_sees_its_mounts_above_its_own_files() -> None:
    machine = Files({"/var/lib/kubelet/pods/u/volumes/conf/a.conf": b"new", "/run/flannel/subnet.env": b"S"})
    own = Files({"/etc/app/a.conf": b"old", "/bin/tool": b""})
    volume = Mounted("/etc/app", "/var/lib/kubelet/pods/u/volumes/conf", read_only=True)
    view = ContainerFiles(machine, own, [volume, Mounted("/run/flannel", "/run/flannel", read_only=False)])
    assert (view.read("/etc/app/a.conf"), view.read("/bin/tool")) == (b"new", b"")
    assert view.entries("/") == ["bin", "etc", "run"]
    view.write("/run/flannel/new", b"N")
    assert machine.read("/run/flannel/new") == b"N"
    with pytest.raises(FileError, match="Read-only file system"):
        view.write("/etc/app/a.conf", b"x")


def test_the_longest_mount_wins() -> None:
    machine = Files({"/one/x": b"1", "/two/x": b"2"})
    view = ContainerFiles(machine, Files(), [Mounted("/m", "/one", False), Mounted("/m/deep", "/two", False)])
    assert (view.read("/m/x"), view.read("/m/deep/x"), view.read("/m/deeper")) == (b"1", b"2", None)
