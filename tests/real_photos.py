"""Where the real photos lie that many tests read, with the values that are expected of them."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
# beside the checkout, unless named: they are people's photos and no part of it
REAL_PHOTOS = Path(os.environ.get("REAL_PHOTOS") or REPOSITORY.parent / "shared" / "photos")
