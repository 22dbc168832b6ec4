"""A small file system of the harness's own, which can be filled without harm to anybody."""

import ctypes
import os
from pathlib import Path

# what is not used takes no memory
STORE_BYTES = 8 * 1024**3
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_REMOUNT, _MS_REC, _MS_PRIVATE = 0x20, 0x4000, 0x40000
_MNT_DETACH = 2
_ATTEMPTS = 20
_libc = ctypes.CDLL(None, use_errno=True)


def enter_private_namespace() -> bool:
    """Let what this process and its children mount from now on be seen by nobody else, and end with the last of them.

    Call it before any thread is started. Who is not root needs user namespaces for it, and stays who he is. False where
    it is not allowed.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        is_private = _libc.unshare(_CLONE_NEWNS) == 0
    else:
        is_private = _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS) == 0
        if is_private:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return is_private and _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0


def mount_store(folder: Path, *, size: int = STORE_BYTES) -> bool:
    """Mount an empty file system in memory on a folder; False where it is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    return _libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, f"size={size},mode=0755".encode()) == 0


def unmount_store(folder: Path) -> None:
    """Take it away again, with all that lies on it, also if somebody still has a file of it open. Raises OSError."""
    if _libc.umount2(bytes(folder), _MNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), f"{folder} stays mounted")


def fill(folder: Path, *, leave: int) -> None:
    """Let the file system of a folder be full but for so many bytes: by making it that small. Raises OSError."""
    for _ in range(_ATTEMPTS):
        state = os.statvfs(folder)
        if _remount(folder, (state.f_blocks - state.f_bfree) * state.f_frsize + leave):
            return
        # somebody has written meanwhile
    raise OSError(ctypes.get_errno(), f"{folder} could not be filled")


def make_room(folder: Path, *, size: int = STORE_BYTES) -> None:
    """Let there be room again. Raises OSError."""
    if not _remount(folder, size):
        raise OSError(ctypes.get_errno(), f"{folder} stays full")


def _remount(folder: Path, size: int) -> bool:
    return _libc.mount(b"tmpfs", bytes(folder), b"tmpfs", _MS_REMOUNT, f"size={size}".encode()) == 0
