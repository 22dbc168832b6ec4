"""`make search-times`."""

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    """Make the data set, unless the folder has it, and measure; the status is 0 if every case keeps its limit."""
    options = read_options()
    prepare(options.folder)
    import django

    django.setup()
    from search_times import running

    return running.run(options)


def read_options() -> argparse.Namespace:
    """Read what was asked for."""
    parser = argparse.ArgumentParser(prog="search_times", description=__doc__)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--only", default="", help="cases whose names have this in them")
    parser.add_argument("--folder", type=Path, default=Path("var/search-times").resolve(), help="kept between runs")
    parser.add_argument("--report", type=Path, help="write the table there too")
    return parser.parse_args()


def prepare(folder: Path) -> None:
    """Start the services of the folder, and have the settings use them."""
    from config import embedded

    folder.mkdir(parents=True, exist_ok=True)
    services = embedded.start(folder)
    os.environ |= {
        "DARKROOM_TEST_DIR": str(folder), "VAR_DIR": str(folder), "DARKROOM_ENV_FILE": "",
        "DATABASE_URL": services.database_url, "REDIS_URL": services.redis_url,
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
