"""What is shown of a photo, or said by its file, in words, for the admin and for shared pages alike."""

from datetime import UTC, datetime, timedelta, timezone

from photos.models import Metadata, Photo

# seconds; what is shorter is said as a fraction, as cameras show it
SHORT_EXPOSURE = 0.3


def camera_name(of: Photo | Metadata) -> str:
    """Give make and model, without the make that many a model begins with."""
    make, model = of.camera_make, of.camera_model
    is_said_twice = any(model.lower().startswith(word) for word in make.lower().split())
    return model if is_said_twice else f"{make} {model}".strip()


def wall_clock(of: Photo | Metadata) -> datetime | None:
    """Give the time as the camera's clock showed it; in UTC where its offset is not known."""
    if of.taken_at is None:
        return None
    offset = of.taken_at_offset
    return of.taken_at.astimezone(UTC if offset is None else timezone(timedelta(minutes=offset)))


def exposure(metadata: Metadata) -> list[str]:
    """Give exposure time, aperture and sensitivity, those that are known."""
    time = metadata.exposure_time
    parts = (
        "" if not time else f"1/{1 / time:.0f} s" if time < SHORT_EXPOSURE else f"{time:g} s",
        f"f/{metadata.aperture:g}" if metadata.aperture else "",
        f"ISO {metadata.iso}" if metadata.iso else "",
    )
    return [part for part in parts if part]


def focal_length(metadata: Metadata) -> str:
    """Give the focal length, with that which shows the same on 35 mm film where that is known."""
    if not metadata.focal_length:
        return f"{metadata.focal_length_35mm:g} mm (35 mm film)" if metadata.focal_length_35mm else ""
    equivalent = f" ({metadata.focal_length_35mm:g} mm on 35 mm film)" if metadata.focal_length_35mm else ""
    return f"{metadata.focal_length:g} mm{equivalent}"
