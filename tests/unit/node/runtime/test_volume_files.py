"""Volumes on the machine: written at one moment, links, modes, hostPath's types."""

import pytest

from podwire.proto.messages.runtime import VolumeFile
from podwire.services.chassis.chance import RandomStream
from podwire.services.node.files import ContainerFiles, FileError, Files, Mounted
from podwire.services.node.runtime.failures import CallFailed
from podwire.services.node.runtime.volume_files import copy_files, prepare_folder, write_volume

NOW = 1_700_000_000 * 1_000_000_000


def write(files: Files, seed: int = 1, **content: str) -> None:
    wanted = {name.replace("_", "/"): VolumeFile(text.encode(), 0o600) for name, text in content.items()}
    write_volume(files, "/v", wanted, NOW, RandomStream(seed))


def test_a_volume_is_turned_at_one_moment() -> None:
    files = Files()
    write(files, a="1", deep_b="2")
    first = files.target("/v/..data")
    assert files.entries("/v") == [str(first), "..data", "a", "deep"]
    assert str(first).startswith("..2023_11_14_22_13_20.") and files.target("/v/a") == "..data/a"
    assert (files.read("/v/a"), files.read("/v/deep/b"), files.mode("/v/a")) == (b"1", b"2", 0o600)
    write(files, seed=2, a="1", deep_b="2")
    assert files.target("/v/..data") == first
    write(files, seed=3, a="new")
    assert (files.read("/v/a"), files.read("/v/deep/b")) == (b"new", None)
    assert files.entries("/v") == [str(files.target("/v/..data")), "..data", "a"]


def test_containers_see_through_links_and_copies_stay() -> None:
    files = Files()
    write(files, a="1")
    copy_files(files, "/copy", {"": VolumeFile(b"1", 0o400)})
    view = ContainerFiles(files, Files(), [Mounted("/etc/v", "/v", True), Mounted("/one", "/copy", True)])
    write(files, seed=2, a="2")
    assert (view.read("/etc/v/a"), view.read("/one"), view.mode("/one")) == (b"2", b"1", 0o400)


def test_links_that_go_round_are_an_error() -> None:
    files = Files()
    files.link("/a", "b")
    files.link("/b", "a")
    with pytest.raises(FileError, match="Too many levels of symbolic links"):
        files.read("/a/x")


def test_a_read_only_root_takes_no_writes_but_its_volumes_do() -> None:
    view = ContainerFiles(Files(), Files(), [Mounted("/tmp", "/pod/tmp", False)], read_only_root=True)
    view.write("/tmp/x", b"1")
    with pytest.raises(FileError, match="Read-only file system"):
        view.write("/x", b"1")


@pytest.mark.parametrize(
    ("path", "kind", "problem"),
    [
        ("/folder", "Directory", ""),
        ("/new", "DirectoryOrCreate", ""),
        ("/new", "FileOrCreate", ""),
        ("/none", "Directory", "hostPath type check failed: /none is not a directory"),
        ("/file", "DirectoryOrCreate", "hostPath type check failed: /file is not a directory"),
        ("/folder", "File", "hostPath type check failed: /folder is not a file"),
        ("/file", "Socket", "hostPath type check failed: /file is not a socket file"),
    ],
)
def test_what_a_host_path_must_be(path: str, kind: str, problem: str) -> None:
    files = Files({"/folder/x": b"", "/file": b""})
    if not problem:
        prepare_folder(files, path, kind)
        assert files.is_folder(path) or files.read(path) is not None
        return
    with pytest.raises(CallFailed, match=problem):
        prepare_folder(files, path, kind)
