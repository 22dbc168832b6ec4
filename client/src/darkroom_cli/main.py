"""The command `darkroom`: its options, and what it ends with."""

import sys
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from darkroom_client.api.photos import photos_list, photos_retrieve
from rich.console import Console
from rich.text import Text

from darkroom_cli import download, filters, folder, login, lookups, report, settings, text, upload
from darkroom_cli.connection import Connection
from darkroom_cli.journal import Journal
from darkroom_cli.problems import SOME_REFUSED, DarkroomError
from darkroom_cli.progress import transfer
from darkroom_cli.sending import Sender

PATIENCE_SECONDS = 300
PAGE_SIZE = 200

_ENDS = """
Which Darkroom, and with which key, is kept by `darkroom login`, or said by DARKROOM_URL and DARKROOM_API_KEY, which go
before. Ends with 0; 1: some files were refused; 2: the command line or the configuration is wrong; 3: the server
refused all of it, or did not answer; 130: Ctrl-C.
"""


@click.group(epilog=_ENDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("darkroom-client"), prog_name="darkroom")
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=PATIENCE_SECONDS,
    show_default=True,
    envvar="DARKROOM_PATIENCE",
    help="For how many seconds a server that does not answer is tried again.",
)
@click.pass_context
def cli(context: click.Context, patience: float) -> None:
    """Upload folders of photos to a Darkroom, search them, and download them."""
    context.obj = patience


def _connected(context: click.Context) -> tuple[settings.Settings, Connection]:
    kept = settings.load()
    return kept, Connection(kept.url, kept.key, patience_seconds=context.obj)


_jobs = click.option(
    "--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="So many files at the same time."
)


@cli.command("login")
@click.argument("url")
@click.option("--email", help="Log in with the password, and have a key made; without it, paste a key.")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long that key is good.")
@click.pass_context
def login_command(context: click.Context, url: str, email: str | None, days: int) -> None:
    """Keep the address of a Darkroom and a key to it, after trying them.

    Key or password is asked for, or read of standard input; it is no argument, since others see those.
    """
    address = settings.checked_url(url)
    if settings.is_in_clear(address):
        click.echo(
            f"{address} is not encrypted: whoever is on the way reads the key. Use https:// if you can.", err=True
        )
    patience = min(context.obj, login.PATIENCE_SECONDS)
    key = login.made_key(address, email, days=days, patience_seconds=patience) if email else login.given_key()
    libraries = login.check(address, key, patience_seconds=patience)
    file = settings.save(settings.Settings(address, key))
    click.echo(f"{address} lets you in, and shows {text.counted(len(libraries), 'library').replace('ys', 'ies')}:")
    for one in libraries:
        click.echo(f"  {one.id}  {text.printable(one.name)}")
    click.echo(f"Address and key are in {file}, which only you may read.")


@cli.command("upload")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--library", required=True, help="The library that takes the photos in: its name, or its id.")
@click.option("--album", help="An album that the photos are put into: its title, or its id. It is made if need be.")
@click.option("--all", "all_files", is_flag=True, help="Send every file, whatever it is called.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@_jobs
@click.pass_context
def upload_command(
    context: click.Context, *, library: str, album: str | None, all_files: bool, dry_run: bool, jobs: int, **given: Any
) -> None:
    """Upload the photos of a FOLDER, its subfolders too.

    What the library has already, by SHA-256, is left out. Run the same again after whatever went wrong: it goes on
    where it was, within a file too. Hidden files and links are passed over.
    """
    kept, connection = _connected(context)
    where = lookups.library_id(connection, library)
    into = lookups.album_id(connection, album, library=where, make=not dry_run) if album else None
    found = folder.look_through(given["folder"], all_files=all_files)
    journal = Journal(settings.state_folder(), url=kept.url, key=kept.key, library=where)
    shown = transfer(verb="uploading", files=len(found.photos), total=found.size)
    run = upload.FolderUpload(connection, Sender(connection, journal, where), shown, jobs, dry_run=dry_run)
    try:
        with shown:
            run.pass_over(found.unreadable)
            run.run(found.photos)
    except (DarkroomError, KeyboardInterrupt):
        if run.results:
            _sum_up_upload(run, found)
        raise
    _sum_up_upload(run, found)
    if into is not None and not dry_run:
        lookups.put_into_album(connection, into, run.photos(found.photos))
        click.echo(f"The album {text.printable(album or '')} has them.", err=True)
    if run.count()[upload.Outcome.REFUSED]:
        raise SystemExit(SOME_REFUSED)


def _sum_up_upload(run: upload.FolderUpload, found: folder.Found) -> None:
    count = run.count()
    sizes = {one.name: one.size for one in found.photos}
    outcome = upload.Outcome.WOULD_BE_SENT if run.dry_run else upload.Outcome.SENT
    moved = sum(sizes[one.file] for one in run.results if one.outcome == outcome)
    words = {
        upload.Outcome.SENT: f"sent ({text.size(moved)})",
        upload.Outcome.WOULD_BE_SENT: f"would be sent ({text.size(moved)})",
        upload.Outcome.THERE: "there already",
        upload.Outcome.DUPLICATE: "the same as another one of the folder",
        upload.Outcome.REFUSED: "refused",
    }
    told = [f"{count[one]:,} {word}" for one, word in words.items() if count[one]]
    left = [(found.sidecars, "sidecar"), (found.others, "other file")]
    _sum_up(told or ["no photos in this folder"], refused=count[upload.Outcome.REFUSED])
    if any(number for number, _noun in left):
        names = " and ".join(text.counted(number, noun) for number, noun in left if number)
        hint = "; sidecars are read by imports on the server" if found.sidecars else ""
        click.echo(f"Passed over: {names}{hint}.", err=True)


def _sum_up(told: list[str], *, refused: int) -> None:
    mark = Text("✗ ", style="red") if refused else Text("✓ ", style="green")
    Console(stderr=True, highlight=False).print(mark.append(", ".join(told) + ".", style="default"), soft_wrap=True)


@cli.command("search")
@filters.photo_filters
@click.option("--limit", type=click.IntRange(min=1), help="No more than so many; without it, on a terminal 100.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each photo, as the API gives it.")
@click.pass_context
def search_command(context: click.Context, limit: int | None, *, as_json: bool, **given: Any) -> None:
    """Search photos. Filters combine; without any, all photos, newest upload first."""
    _, connection = _connected(context)
    is_for_eyes = sys.stdout.isatty() and not as_json
    at_most = limit or (100 if is_for_eyes else None)
    found = _photos(connection, filters.given(given, connection=connection), at_most=at_most)
    with Console(stderr=True).status("searching") if is_for_eyes else nullcontext():
        photos = list(found) if is_for_eyes else found
    number = report.print_photos(photos, as_json=as_json)
    if is_for_eyes:
        more = " There may be more: --limit." if number == at_most else ""
        click.echo(f"{text.counted(number, 'photo')}.{more}", err=True)


@cli.command("download")
@click.option("--ids", type=click.UUID, multiple=True, help="These photos; instead of filters. May be repeated.")
@click.option("--all", "is_all", is_flag=True, help="All that you see; instead of filters.")
@click.option(
    "--to", "target", required=True, type=click.Path(file_okay=False, path_type=Path), help="Into this folder."
)
@click.option(
    "--original", "kind", flag_value="original", default=True, help="The files as they were uploaded (default)."
)
@click.option("--preview", "kind", flag_value="preview", help="JPEGs of 1440 pixels.")
@click.option("--metadata", "metadata", type=click.Choice(["xmp"]), help="Sidecars of what is said of the photos.")
@filters.photo_filters
@click.option("--limit", type=click.IntRange(min=1), help="No more than so many.")
@_jobs
@click.pass_context
def download_command(
    context: click.Context,
    *,
    ids: tuple[UUID, ...],
    is_all: bool,
    target: Path,
    kind: str,
    metadata: str | None,
    limit: int | None,
    jobs: int,
    **given: Any,
) -> None:
    """Download photos into a folder, verified by SHA-256.

    What is there already is left as it is, and what was cut off goes on. Files are called as they were when they were
    uploaded; of two with one name the second gets its photo's id in it.
    """
    _, connection = _connected(context)
    asked = filters.given(given, connection=connection)
    if sum((bool(ids), is_all, bool(asked))) != 1:
        raise click.UsageError("Say which photos: by filters, by --ids, or --all.")
    photos = (connection.ask(photos_retrieve, one)[0] for one in ids) if ids else _photos(connection, asked, limit)
    wanted = list(download.of_photos(photos, download.Kind(metadata or kind)))
    total = sum(one.size for one in wanted)
    with transfer(verb="downloading", files=len(wanted), total=total) as shown:
        run = download.FolderDownload(connection, target, shown, jobs)
        run.run(wanted)
    count = run.results
    words = {
        download.Outcome.DOWNLOADED: f"downloaded ({text.size(shown.moved)})",
        download.Outcome.THERE: "there already",
        download.Outcome.REFUSED: "refused",
    }
    told = [f"{count[one]:,} {word}" for one, word in words.items() if count[one]]
    _sum_up(told or ["no photos found"], refused=count[download.Outcome.REFUSED])
    if count[download.Outcome.REFUSED]:
        raise SystemExit(SOME_REFUSED)


def _photos(connection: Connection, asked: dict[str, Any], at_most: int | None = None) -> Any:
    size = min(PAGE_SIZE, at_most or PAGE_SIZE)
    return connection.pages(photos_list, at_most=at_most, page_size=size, **asked)


def _tell(sentence: str) -> None:
    line = Text("✗ ", style="red").append(text.printable(sentence), style="default")
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


def run() -> None:
    """Run the command; whatever goes wrong is one sentence."""
    try:
        cli.main(prog_name="darkroom", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nStopped. Nothing is lost: the same command goes on from here.", err=True)
        sys.exit(130)
    except DarkroomError as error:
        _tell(error.sentence)
        sys.exit(error.exit_status)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            _tell(f"{error.filename or 'The system'}: {error.strerror or error} (system_error).")
            sys.exit(2)
        # whoever read the output has had enough, as `head`
        sys.stderr.close()
        sys.exit(141)
