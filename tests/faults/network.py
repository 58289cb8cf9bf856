"""D7: a home on a network file system is refused, unless somebody insists."""
import os
import sqlite3
import subprocess

import faultlib
from faultlib import NotRun, Row

__all__ = ["ROWS"]

NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre", "beegfs", "gpfs", "afs", "vboxsf", "fuse.sshfs",
           "fuse.glusterfs", "fuse.s3fs", "fuse.rclone")
LOCAL = ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuseblk", "fuse.gocryptfs", "fuse.mergerfs")
#: In a mount namespace of its own: the kernel's list of mounts, as this process will read it, says what the file says.
PRETEND = 'mount --bind "$1" /proc/$$/mountinfo && shift && exec "$@"'


def d7(trials):
    if os.geteuid() != 0 or subprocess.call(["unshare", "-m", "sh", "-c", PRETEND, "sh", "/proc/self/mountinfo", "true"],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) != 0:
        raise NotRun("the list of mounts cannot be replaced here (needs root and a mount namespace)")
    trials.make(lambda number: elsewhere(trials, number))


def mounts_as(kind, folder):
    """The kernel's list with another type for the file system of a folder."""
    device = os.stat(folder).st_dev
    wanted = "%d:%d" % (os.major(device), os.minor(device))
    changed = []
    with open("/proc/self/mountinfo", errors="surrogateescape") as table:
        for line in table:
            before, dash, after = line.partition(" - ")
            if before.split()[2] == wanted:
                after = " ".join([kind] + after.split()[1:]) + "\n"
            changed.append(before + dash + after)
    return "".join(changed)


def elsewhere(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home = os.path.join(folder, "home")
    config = faultlib.config_of(folder, [{"id": "a", "command": ["sh", "-c", "echo >>%s" % os.path.join(folder, "began")]}])
    table = os.path.join(folder, "mountinfo")
    began = os.path.join(folder, "began")
    kind = rnd.choice(NETWORK if number % 3 else LOCAL)
    insists = kind in NETWORK and rnd.random() < 0.3
    known = rnd.random() < 0.5
    if known:
        trials.product.run("run", config, home=home)
        os.unlink(began)
    with open(table, "w", errors="surrogateescape") as out:
        out.write(mounts_as(kind, folder))
    words = rnd.choice((["run", config], ["run", config], ["runs"], ["status"], ["show", "last"], ["logs", "last", "a"],
                        ["run", config, "--resume", "last"], ["db", "check"], ["db", "status"])) if known else ["run", config]
    prefix = ["unshare", "-m", "sh", "-c", PRETEND, "sh", table]
    done = trials.product.run(*words + (["--allow-network-fs"] if insists else []), home=home, prefix=prefix, timeout_s=60)
    what = "%s%s on %s" % (" ".join(words[:1] + words[2:]), " --allow-network-fs" if insists else "", kind)
    trials.expect(not done.traceback, "%s: %s" % (what, done.tail()), number)
    path = os.path.join(home, "history.db")
    if kind in NETWORK and not insists:
        trials.expect(done.code == 3, "%s: expected exit 3: %s" % (what, done.tail()), number)
        trials.expect(kind.encode() in done.err and b"--allow-network-fs" in done.err, "%s: %s" % (what, done.tail()), number)
        trials.expect(not os.path.exists(began), "%s: a job was started" % what, number)
        trials.expect(known or not os.path.exists(path), "%s: a history was made" % what, number)
        trials.add("refused")
    elif not (insists and words[0] not in ("run", "db")):
        # A command that only reads may not know the option; that it then says so is another test's matter.
        trials.expect(done.code == (2 if "--resume" in words else 0) or "--resume" in words and done.code == 0,
                      "%s: %s" % (what, done.tail()), number)
        if words[0] == "run" and insists:
            mode = sqlite3.connect("file:%s?mode=ro" % path, uri=True).execute("PRAGMA journal_mode").fetchone()[0]
            trials.expect(mode == "delete", "%s: the journal mode is %s" % (what, mode), number)
    trials.done()
    trials.drop(folder)


ROWS = [
    Row("D7", "a history on a network file system is refused with exit 3, nothing begins, and no local one is refused",
        "%d types of network file systems and %d local ones, in a list of mounts that only the command sees" % (
            len(NETWORK), len(LOCAL)), "exit code, what was said, what was made", 24, 1000, "every file system is local", d7, 0.4,
        unit="commands", lanes=2),
]
