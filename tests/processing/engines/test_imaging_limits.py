"""Limits, each in a process of its own: what a bomb, a hang and a flood of bytes come to."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from imaging_samples import encoded, picture
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[3]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_bomb_costs_an_error_and_the_process_goes_on(tmp_path: Path) -> None:
    """64 MP of nothing in 200 kB; then an ordinary picture in the same process."""
    bomb, ordinary = tmp_path / "bomb", tmp_path / "ordinary"
    bomb.write_bytes(encoded(Image.new("RGBA", (8000, 8000)), "PNG", compress_level=9))
    ordinary.write_bytes(encoded(Image.new("RGB", (800, 600)), "PNG"))
    assert bomb.stat().st_size < 300_000
    program = """
        import sys
        from pathlib import Path
        from processing.engines.errors import EngineError
        from processing.engines.imaging.limits import apply_limits
        from processing.engines.imaging.renditions import render

        def attempt(path):
            try:
                result = render(Path(path), sizes={"preview": 144}, quality=80, max_pixels=100_000_000)
            except EngineError as error:
                print(error.code, error.permanent)
            else:
                print(result.width, result.height)

        bomb, ordinary = sys.argv[1:]
        attempt(bomb)
        attempt(ordinary)  # loads all libraries before the limit
        apply_limits(memory_bytes=600 << 20, file_bytes=1 << 20)
        attempt(bomb)
        attempt(ordinary)
    """
    done = run(program, str(bomb), str(ordinary))
    assert done.stdout.splitlines() == ["8000 8000", "800 600", "out_of_memory False", "800 600"], done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("image_format", "options", "room"),
    [
        # enough for the pixels, and not for what libjpeg keeps of them between the scans
        ("JPEG", {"progressive": True, "subsampling": 0}, 24 << 20),
        ("WEBP", {"method": 0}, 8 << 20),
        ("PNG", {"compress_level": 1}, 8 << 20),
        ("HEIF", {}, 8 << 20),
        ("AVIF", {"speed": 10}, 8 << 20),
    ],
)
def test_memory_that_is_short_is_not_damage(
    tmp_path: Path, image_format: str, options: dict[str, object], room: int
) -> None:
    """libwebp and libjpeg speak of damage; and what is damaged is called so where memory is not short."""
    small, large, cut = (tmp_path / name for name in ("small", "large", "cut"))
    small.write_bytes(encoded(picture(), image_format, **options))
    large.write_bytes(encoded(picture(3000, 2000), image_format, **options))
    cut.write_bytes(small.read_bytes()[: small.stat().st_size * 6 // 10])
    program = """
        import resource, sys
        from pathlib import Path
        from processing.engines.errors import EngineError
        from processing.engines.imaging.limits import address_space_left, apply_limits
        from processing.engines.imaging.renditions import render

        def attempt(path):
            try:
                result = render(Path(path), sizes={"preview": 3000}, quality=80, max_pixels=100_000_000)
            except EngineError as error:
                print(error.code)
            else:
                print(result.width, result.height)

        def leave(room):
            mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            apply_limits(memory_bytes=mapped + room, file_bytes=1 << 20)
            print(room - (1 << 20) < address_space_left() <= room)

        small, large, cut, room = sys.argv[1:]
        print(address_space_left())
        attempt(small)  # loads all libraries before the limit
        leave(400 << 20)
        attempt(cut)
        leave(int(room))
        attempt(large)
    """
    done = run(program, str(small), str(large), str(cut), str(room))
    expected = ["inf", "96 64", "True", "damaged", "True", "out_of_memory"]
    assert done.stdout.splitlines() == expected, done.stderr


def test_a_file_that_grows_too_large(tmp_path: Path) -> None:
    program = """
        import errno, sys
        from processing.engines.imaging.limits import apply_limits
        apply_limits(memory_bytes=1 << 30, file_bytes=1 << 16)
        try:
            with open(sys.argv[1], "wb", buffering=0) as file:
                while True:
                    file.write(bytes(10_000))
        except OSError as error:
            print(errno.errorcode[error.errno])
    """
    target = tmp_path / "flood"
    done = run(program, str(target))
    assert (done.stdout, done.returncode) == ("EFBIG\n", 0), done.stderr
    assert target.stat().st_size == 1 << 16


def test_the_limits_are_for_good_and_no_core_is_dumped() -> None:
    program = """
        import resource
        from processing.engines.imaging.limits import apply_limits
        apply_limits(memory_bytes=1 << 30, file_bytes=1 << 20)
        apply_limits(memory_bytes=1 << 40, file_bytes=1 << 10)
        print([resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)])
    """
    assert run(program).stdout == f"{[(1 << 30, 1 << 30), (1 << 10, 1 << 10), (0, 0)]}\n"
