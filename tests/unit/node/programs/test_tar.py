"""tar: Python's tarfile is the oracle both ways; any bytes are an archive or refused with tar's own words."""

import gzip
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from surroundings import Machine, run_line, run_script

NAMES = st.lists(st.text("abü-x", min_size=1, max_size=80), min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(NAMES, st.binary(max_size=1500), min_size=1, max_size=5)
FORMATS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def archive(tree: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for name, data in tree.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


def members(data: bytes) -> dict[str, bytes | None]:
    """What tarfile reads: name to bytes, None for a folder."""
    found: dict[str, bytes | None] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as given:
        for member in given:
            file = given.extractfile(member)
            found[member.name] = None if file is None else file.read()
    return found


def is_tree(tree: dict[str, bytes]) -> bool:
    """No name is a folder of another's."""
    return not any(other.startswith(f"{name}/") for name in tree for other in tree)


async def output_of(machine: Machine, arguments: list[str]) -> bytes:
    out, err = bytearray(), bytearray()
    process = machine.process(arguments, machine.nobody, out, err)
    assert await process.programs["tar"](process) == 0, err.decode()
    return bytes(out)


@settings(max_examples=40)
@given(TREES.filter(is_tree), FORMATS)
def test_what_tarfile_writes_is_extracted(tree: dict[str, bytes], form: int) -> None:
    try:
        data = archive(tree, form)
    except ValueError:
        return  # ustar cannot hold every name
    machine = Machine()
    result = machine.play(lambda made: made.run(["tar", "-xmf", "-", "-C", "/tmp"], data))
    assert (result.code, result.err) == (0, "")
    assert {name: machine.folder.read(f"/tmp/{name}") for name in tree} == tree


@settings(max_examples=40)
@given(TREES.filter(is_tree))
def test_what_is_created_is_read_by_tarfile(tree: dict[str, bytes]) -> None:
    machine = Machine(files={f"/srv/{name}": data for name, data in tree.items()})
    data = machine.play(lambda made: output_of(made, ["tar", "cf", "-", "/srv"]))
    files = {name: data for name, data in members(data).items() if data is not None}
    assert files == {f"srv/{name}": data for name, data in tree.items()}


@given(st.binary(max_size=1600))
def test_any_bytes(data: bytes) -> None:
    result = run_line(["tar", "-xf", "-", "-C", "/tmp"], data)
    assert result.code == 0 or result.err.startswith("tar: ")


@given(st.data())
def test_one_wrong_byte(data: st.DataObject) -> None:
    damaged = bytearray(archive({"a": b"1234", "n" * 150: b"x"}))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    result = run_line(["tar", "-xf", "-", "-C", "/tmp"], bytes(damaged))
    assert result.code == 0 or result.err.startswith("tar: ")


def test_the_way_of_kubectl_cp() -> None:
    script = """
    mkdir -p /srv/sub; echo one > /srv/a; echo two > /srv/sub/b
    tar cf - -C /srv a sub | tar --no-same-permissions --no-same-owner -xmf - -C /tmp
    cat /tmp/a /tmp/sub/b
    tar cf - /srv/a | tail -c+1 | tar tf -
    tar czf /tmp/z.tgz -C / srv; tar tzf /tmp/z.tgz; tar xzOf /tmp/z.tgz srv/a
    mkdir /tmp/s; tar xzf /tmp/z.tgz --strip-components=1 -C /tmp/s; ls /tmp/s
    """
    result = run_script(script)
    assert result.out == "one\ntwo\nsrv/a\nsrv/\nsrv/a\nsrv/sub/\nsrv/sub/b\none\na\nsub\n"
    assert result.err == "tar: Removing leading `/' from member names\n"


REFUSED = [
    (["tar"], b"", "must specify exactly one of c, x and t"),
    (["tar", "cxf", "-"], b"", "must specify exactly one of c, x and t"),
    (["tar", "cjf", "-", "a"], b"", "compression by -j is not built"),
    (["tar", "xf", "-", "-C", "/nowhere"], b"", "can't change directory to '/nowhere': No such file or directory"),
    (["tar", "xf", "/nothing"], b"", "No such file or directory"),
    (["tar", "cf", "-"], b"", "empty archive"),
    (["tar", "cf", "-", "/nothing"], b"", "/nothing: No such file or directory"),
    (["tar", "xf", "-"], b"x" * 512, "invalid tar magic"),
    (["tar", "xf", "-"], b"x", "short read"),
    (["tar", "xzf", "-"], b"no gzip at all", "invalid gzip magic"),
    (["tar", "xzf", "-"], gzip.compress(archive({"a": b"1"}), mtime=0)[:20], "short read"),
    (["tar", "xf", "-"], archive({"../a": b"1"}), "name with '..' skipped"),
    (["tar", "xf", "-"], archive({"tmp": b"1"}), "can't open 'tmp': Is a directory"),
]


@pytest.mark.parametrize(("arguments", "stdin", "complaint"), REFUSED)
def test_what_tar_refuses(arguments: list[str], stdin: bytes, complaint: str) -> None:
    result = run_line(arguments, stdin)
    assert result.code != 0 and complaint in result.err, result
