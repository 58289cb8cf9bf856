"""A checkout that Python may not write to starts as fast: its compiled code lies in the user's cache folder."""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def version(cache, **more):
    environment = dict(os.environ, XDG_CACHE_HOME=str(cache), PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=ROOT, **more)
    done = subprocess.run([sys.executable, "-m", "executioner", "schema"], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def kept_files(cache):
    folder = cache / "executioner" / sys.implementation.cache_tag
    return {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}


def test_code_is_kept_and_used_and_made_anew_where_it_is_damaged(tmp_path):
    first = version(tmp_path)
    kept = kept_files(tmp_path)
    schema = next(path for name, path in kept.items() if name.startswith("config.schema."))
    assert (schema.stat().st_mode & 0o777, schema.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    whole = schema.read_bytes()
    before = schema.stat().st_ino
    assert version(tmp_path) == first and schema.stat().st_ino == before
    schema.write_bytes(whole[:len(whole) // 2])
    assert version(tmp_path) == first
    assert schema.read_bytes() == whole
    schema.write_bytes(b"0 0 /elsewhere\n" + whole.partition(b"\n")[2])
    assert version(tmp_path) == first
    assert schema.read_bytes() == whole


def test_a_cache_that_others_could_write_is_not_used(tmp_path):
    (tmp_path / "executioner").mkdir(mode=0o700)
    os.chmod(str(tmp_path / "executioner"), 0o777)
    assert version(tmp_path)
    assert kept_files(tmp_path) == {}


def test_a_cache_that_cannot_be_made_is_no_obstacle(tmp_path):
    (tmp_path / "executioner").write_text("a file, no folder")
    assert version(tmp_path)
