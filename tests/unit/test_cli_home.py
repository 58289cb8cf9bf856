"""The home folder: found, made, and refused where it is not ours alone."""
import os
import stat
from typing import Dict

import pytest

from executioner.home import Home, locate
from jobs.exceptions import ConfigurationError, StorageError


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_who_names_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"EXECUTIONER_HOME": "/b", "XDG_STATE_HOME": "/state", "HOME": "/users/me"}
    assert (locate("/a", environ).path, locate("/a", environ).source) == ("/a", "--home")
    assert (locate(None, environ).path, locate(None, environ).source) == ("/b", "EXECUTIONER_HOME")
    del environ["EXECUTIONER_HOME"]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert locate(None, environ).path == "/var/lib/executioner"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert locate(None, environ).path == "/state/executioner"
    environ["XDG_STATE_HOME"] = "relative"
    assert locate(None, environ).path == "/users/me/.local/state/executioner"
    assert locate(None, environ).source == "default"


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_an_impossible_name(name: str) -> None:
    with pytest.raises(ConfigurationError):
        locate(name, {})


def test_a_relative_home_is_made_absolute(tmp_path: "os.PathLike[str]", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    environ: Dict[str, str] = {}
    assert locate("h", environ).path == os.path.join(os.getcwd(), "h")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_create_makes_folders_of_0700(tmp_path: "os.PathLike[str]", umask: int) -> None:
    home = Home(os.path.join(str(tmp_path), "a", "b", "home"), "--home")
    before = os.umask(umask)
    try:
        home.create()
        home.create()
    finally:
        os.umask(before)
    for path in (home.path, home.logs, home.locks, home.records, os.path.dirname(home.path)):
        assert mode(path) == 0o700
    assert not os.path.exists(home.history)


@pytest.mark.parametrize("bits", [0o750, 0o705, 0o701, 0o777])
def test_a_home_that_others_may_enter_is_refused(tmp_path: "os.PathLike[str]", bits: int) -> None:
    home = Home(os.path.join(str(tmp_path), "home"), "--home")
    home.create()
    os.chmod(home.path, bits)
    with pytest.raises(StorageError) as caught:
        home.create()
    assert caught.value.message == "home %s: others may enter it (mode %04o, expected 0700)" % (home.path, bits)
    assert caught.value.context["hint"] == "chmod 700 " + home.path
    os.chmod(home.path, 0o700)
    os.chmod(home.locks, bits)
    with pytest.raises(StorageError):
        home.create()


def test_a_home_of_another_user_is_refused(tmp_path: "os.PathLike[str]", monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(os.path.join(str(tmp_path), "home"), "--home")
    home.create()
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(StorageError) as caught:
        home.check()
    assert "not to us (user 4242)" in caught.value.message


def test_a_file_or_a_missing_folder_is_refused(tmp_path: "os.PathLike[str]") -> None:
    path = os.path.join(str(tmp_path), "file")
    with pytest.raises(StorageError):
        Home(path, "--home").check()
    with open(path, "w"):
        pass
    for act in (Home(path, "--home").check, Home(path, "--home").create, Home(path + "/x", "--home").create):
        with pytest.raises(StorageError):
            act()


def test_a_planted_link_in_the_home_is_refused(tmp_path: "os.PathLike[str]") -> None:
    home = Home(os.path.join(str(tmp_path), "home"), "--home")
    home.create()
    os.rmdir(home.logs)
    os.symlink(str(tmp_path), home.logs)
    with pytest.raises(StorageError):
        home.create()
