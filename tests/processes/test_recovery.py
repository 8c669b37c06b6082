"""`podwire up` on a folder that something happened to: it continues, or says in a line why not and changes nothing."""

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live_cluster import LiveCluster, podwire, until

from podwire.proto.kube import resources
from podwire.scripts.errors import UserError
from podwire.services.chassis.api.client import ApiError, ApiUnavailable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LOG = Path("nats") / "jetstream"
OPTIONS = ("up", "--nodes", "3", "--api-port", "0", "-d", "--data-dir")
TOO_LARGE = {"metadata": {"name": "refused"}, "data": {"large": "x" * 100_000}}
CONFIG_MAP = {"metadata": {"name": "kept"}, "data": {"a": "b"}}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a cluster that was stopped after an acknowledged write."""
    cluster = LiveCluster(tmp_path_factory.mktemp("recovery"))
    cluster.up()
    try:
        cluster.apply((resources.CONFIG_MAPS, CONFIG_MAP))
        cluster.down()
        yield cluster.folder.path
    finally:
        cluster.close()


@pytest.fixture
def folder(stopped: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    copy = tmp_path / ".podwire"
    shutil.copytree(stopped, copy)
    return copy


def block(folder: Path) -> Path:
    (path,) = (folder / LOG).rglob("*.blk")
    return path


def truncate(folder: Path) -> None:
    os.truncate(block(folder), block(folder).stat().st_size * 2 // 3)


def lose_the_last_byte(folder: Path) -> None:
    os.truncate(block(folder), block(folder).stat().st_size - 1)


def flip_a_bit(folder: Path) -> None:
    content = bytearray(block(folder).read_bytes())
    content[len(content) // 2] ^= 1
    block(folder).write_bytes(content)


def lose_the_block(folder: Path) -> None:
    block(folder).unlink()


def spoil_the_stream(folder: Path) -> None:
    next((folder / LOG).rglob("meta.inf")).write_text("{}")


def lose_the_log(folder: Path) -> None:
    shutil.rmtree(folder / LOG)


def put_a_file_there(folder: Path) -> None:
    shutil.rmtree(folder / LOG)
    (folder / LOG).write_text("")


def spoil_the_key(folder: Path) -> None:
    (folder / "pki" / "sa.key").write_text("-----BEGIN")


def spoil_the_description(folder: Path) -> None:
    (folder / "cluster.json").write_text('{"workers": ')


DAMAGE: dict[Callable[[Path], None], str] = {
    truncate: "the event log is damaged: it can be read up to revision ",
    lose_the_last_byte: "the event log is damaged: it can be read up to revision ",
    flip_a_bit: "the event log is damaged: it can be read up to revision ",
    lose_the_block: "the event log is damaged: it can be read up to revision 0, and revision ",
    spoil_the_stream: "there is no event log that can be read, though revision ",
    lose_the_log: "there is no event log, though revision ",
    put_a_file_there: "jetstream: Not a directory",
    spoil_the_key: "sa.key: it is no private key in PEM; put it back, or remove it",
    spoil_the_description: "cluster.json cannot be read: it says how many nodes the cluster has; put a copy back",
}


def digest(folder: Path) -> str:
    """The hash of all that the log is made of."""
    files = sorted(path for path in (folder / "nats").rglob("*") if path.is_file() and "jetstream" in str(path))
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_one_line_and_nothing_is_made_worse(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    before = digest(folder)
    done = podwire(*OPTIONS, str(folder))
    assert done.returncode == 2 and DAMAGE[damage] in done.stderr, (done.stdout, done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert digest(folder) == before


def test_what_can_be_read_of_a_damaged_log_goes_on_as_a_fork(folder: Path, tmp_path: Path) -> None:
    truncate(folder)
    forked = LiveCluster(tmp_path / "fork")
    try:
        done = podwire("history", "fork", "--from", str(folder), "--data-dir", forked.data_dir)
        assert done.returncode == 0, done.stderr
        until(forked.missing, 60)
    finally:
        forked.close()


def kept(cluster: LiveCluster) -> str:
    """What of the acknowledged write is missing."""
    try:
        found = cluster.run(lambda client: client.api.get(resources.CONFIG_MAPS, "default", "kept"))
    except (ApiError, ApiUnavailable, UserError) as error:
        return str(error)
    return "" if found["data"] == CONFIG_MAP["data"] else f"it is {found['data']}"


def on_node_1(cluster: LiveCluster, command: str) -> str:
    """What a command prints on a machine."""
    done = podwire("ssh", "--data-dir", cluster.data_dir, "node-1", command)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def test_the_machines_disks_are_there_again(folder: Path) -> None:
    cluster = LiveCluster(folder.parent)
    try:
        cluster.up()
        on_node_1(cluster, "echo kept >/srv/file; echo gone >/run/file")
        cluster.signal("node@node-1", signal.SIGKILL)
        until(cluster.missing, 30)
        assert on_node_1(cluster, "cat /srv/file; ls /run/file || true").startswith("kept\n")
        cluster.down()
        cluster.up()
        assert on_node_1(cluster, "cat /srv/file") == "kept\n"
    finally:
        cluster.close()


def test_a_damaged_disk_costs_what_is_behind_the_damage_and_is_kept(folder: Path) -> None:
    disk = folder / "disks" / "node-1"
    content = bytearray(disk.read_bytes())
    content[8] ^= 1
    disk.write_bytes(content)
    cluster = LiveCluster(folder.parent)
    try:
        cluster.up()
        until(cluster.missing, 60)
        assert (folder / "disks" / "node-1.damaged").read_bytes() == content
        assert "a disk is damaged" in cluster.log("node@node-1")
    finally:
        cluster.close()


def test_keys_that_are_gone_are_made_anew(folder: Path) -> None:
    shutil.rmtree(folder / "pki")
    (folder / "kubeconfig").unlink()
    cluster = LiveCluster(folder.parent)
    try:
        cluster.up()
        until(lambda: cluster.missing() or kept(cluster), 30)
        assert (folder / "pki/ca.crt").exists() and (folder / "kubeconfig").exists()
    finally:
        cluster.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read_are_named(folder: Path) -> None:
    block(folder).chmod(0)
    done = podwire(*OPTIONS, str(folder))
    assert done.returncode == 2 and f"{block(folder)}: Permission denied" in done.stderr


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Takes all the room that there is."""
    file = disk / "full"
    with file.open("wb") as stream:
        try:
            while True:
                stream.write(bytes(65536))
                stream.flush()
        except OSError:
            pass
    return file


@pytest.mark.root
def test_a_full_disk_loses_nothing_and_is_written_to_again_once_it_has_room(small: Path) -> None:
    cluster = LiveCluster(small)
    try:
        cluster.up()
        cluster.apply((resources.CONFIG_MAPS, CONFIG_MAP))
        full = fill(small)
        with pytest.raises((ApiError, ApiUnavailable)):
            cluster.apply((resources.CONFIG_MAPS, TOO_LARGE))
        assert podwire("chaos", "kill", "coredns/0", "--data-dir", cluster.data_dir).returncode == 0
        assert kept(cluster) == ""
        full.unlink()

        def refused() -> str:
            try:
                cluster.apply((resources.CONFIG_MAPS, {"metadata": {"name": "later"}}))
            except (ApiError, ApiUnavailable, UserError) as error:
                return "" if "already exists" in str(error) else str(error)  # of an attempt whose answer was lost
            return ""

        until(refused, 60)
        until(lambda: cluster.missing() or kept(cluster), 60)
        cluster.down()
        full = fill(small)
        done = podwire(*OPTIONS, cluster.data_dir)
        assert done.returncode == 2 and "bytes are free on its disk, and at least 8,388,608 are needed" in done.stderr
        full.unlink()
        cluster.up()
        until(lambda: cluster.missing() or kept(cluster), 60)
    finally:
        cluster.close()
