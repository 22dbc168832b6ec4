"""What the installation of a run needs before photos can come. Prints the id of its library.

python -m faults.prepare EMAIL PASSWORD [faces]
"""

import sys

import django


def main(email: str, password: str, faces: str = "") -> None:
    """Bring the database up to date, make an administrator and a library; with `faces`, analyse them in it."""
    django.setup()
    from django.core.management import call_command

    from config.running import first_start
    from processing.services.face_analysis import switch_face_analysis

    call_command("migrate", verbosity=0, interactive=False)
    first_start.make_administrator(email=email, password=password)
    library = first_start.make_library(admin_email=email, tell=lambda _text: None)
    if not faces:
        switch_face_analysis(library=library, enabled=False, by=None)
    # both come with packages: nothing is fetched
    for model in ("mtcnn", "dlib-resnet-v1"):
        call_command("models", "install", model, stdout=sys.stderr)
        call_command("models", "use", model, stdout=sys.stderr)
    sys.stdout.write(f"{library.pk}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
