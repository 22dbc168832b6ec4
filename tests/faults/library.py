"""Another library with face analysis. Prints its id.

python -m faults.library EMAIL NAME
"""

import sys

import django


def main(email: str, name: str) -> None:
    """Make it, with an administrator who is there."""
    django.setup()
    from accounts.models import User
    from accounts.services.libraries import create_library
    from processing.services.face_analysis import switch_face_analysis

    admin = User.objects.get(email=email)
    library = create_library(name=name, admin=admin)
    switch_face_analysis(library=library, enabled=True, by=admin)
    sys.stdout.write(f"{library.pk}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
