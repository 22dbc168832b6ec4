"""What the API's schema says of bodies: what a reader needs, and no more. Hooks of drf-spectacular."""

import re
from typing import Any

# what classes say of themselves to whoever writes code with them
_KIND = re.compile(r"^(?:Input|Output): (\w)")
_WANTS = re.compile(r"\s*\bWants (?:`[^`]*`|[^`.])*\.")
_MADE_OF = re.compile(r" \(`[\w.]+`\)")
# of what is sent, where it differs from what is answered
_SENT = "Request"


def leave_the_code_out(result: dict[str, Any], **_generator: object) -> dict[str, Any]:
    """Leave out of descriptions which Python a body is made of."""
    for schema in result["components"]["schemas"].values():
        if "description" in schema:
            text = _MADE_OF.sub("", _WANTS.sub("", schema["description"]))
            schema["description"] = _KIND.sub(lambda found: found[1].upper(), text).strip()
    return result


def say_that_no_other_members_are_taken(result: dict[str, Any], **_generator: object) -> dict[str, Any]:
    """Say of bodies that are sent that members which are not named are refused, as `InputSerializer` does."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith(_SENT) and "properties" in schema:
            schema["additionalProperties"] = False
    return result
