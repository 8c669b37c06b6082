"""A password may stand in a file, as container engines hand secrets out."""

from pathlib import Path

import pytest

from podwire.services.chassis.settings import ProcessSettings, SettingsError, load


def password(**environment: str) -> str:
    return load(ProcessSettings, {"instance": "a"}, environment).bus_password


def test_it_is_read_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    assert password(PODWIRE_BUS_PASSWORD_FILE=str(tmp_path / "password")) == "secret"


def test_a_password_that_is_given_comes_first(tmp_path: Path) -> None:
    assert password(PODWIRE_BUS_PASSWORD="given", PODWIRE_BUS_PASSWORD_FILE=str(tmp_path / "none")) == "given"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"PODWIRE_BUS_PASSWORD_FILE=.*/none: No such file or directory; a file"):
        password(PODWIRE_BUS_PASSWORD_FILE=str(tmp_path / "none"))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="binary: it is no text"):
        password(PODWIRE_BUS_PASSWORD_FILE=str(tmp_path / "binary"))
