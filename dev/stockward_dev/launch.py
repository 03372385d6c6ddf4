"""Executes another program, which holds a lock for as long as it lives and ends when its parent does.

Started by path with `python -I -S`, so it imports only the standard library:

    launch.py PARENT_PID END_SIGNAL LOCK_FILE UID:GID|- PROGRAM ARGUMENT...

The lock (flock) is inherited by the program and its own children: as long as any of them lives, LOCK_FILE
stays locked, and it contains the program's pid. That distinguishes left-overs from recycled pids. Exits with code 75
where it is locked already. On Linux the kernel sends END_SIGNAL when the parent dies, even by SIGKILL.
"""

import ctypes
import fcntl
import os
import sys

LOCKED = 75
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Locks, changes the user and executes the program."""
    parent, end_signal, lock_file, user, *command = sys.argv[1:]
    lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{lock_file} is locked: it is running already", file=sys.stderr)
        raise SystemExit(LOCKED) from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    os.set_inheritable(lock, True)
    if user != "-":
        uid, gid = map(int, user.split(":"))
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, which clears it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(end_signal))
    if os.getppid() == int(parent):  # else it died before the line above
        os.execv(command[0], command)


main()
