"""The sorts of offence: what each is, what a person does about it, and what `--repair` does."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The five counts."""

    LOST = "lost"
    DOUBLED = "doubled"
    WRONG = "wrong"
    STUCK = "stuck"
    LEAKED = "leaked"


class Remedy(StrEnum):
    """What `--repair` does about an offence."""

    NONE = ""
    PLAN = "plan"  # plan the runs that are missing, and ring for them
    RERUN = "rerun"  # run the stage again, and what reads its result
    RELEASE = "release"  # take expired leases back, plan anew, ring
    REMOVE_DOUBLES = "remove_doubles"  # keep one row of each, and run the stage again
    GROUP = "group"  # ask for a grouping
    DELETE_OBJECT = "delete_object"
    ERASE_FACES = "erase_faces"
    RECOUNT = "recount"  # count the photos of a library or user again
    OBEY = "obey"  # put faces where what was decided of them says
    SHOW = "show"  # reckon anew what is shown of photos


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of offence: what it is, what to do about it, and what `--repair` does."""

    kind: Kind
    about: str
    advice: str
    remedy: Remedy = Remedy.NONE


_AGAIN = "--repair runs the stage again."
_CONSTRAINT = "The unique constraint is missing: put it back (manage.py migrate)."

SORTS: dict[str, Sort] = {
    # lost
    "original_missing": Sort(
        Kind.LOST,
        "The original is not in its store.",
        "Restore it from a backup under its key, or upload the same file again.",
    ),
    "photo_missing": Sort(
        Kind.LOST, "An acknowledged photo has no row.", "Upload it again, or restore the database and the store."
    ),
    "photo_changed": Sort(
        Kind.LOST, "An acknowledged photo is not what was acknowledged.", "Compare with a backup of the database."
    ),
    "run_missing": Sort(
        Kind.LOST, "A stage that the photo should go through has no run.", "--repair plans it.", Remedy.PLAN
    ),
    # doubled
    "run_twice": Sort(
        Kind.DOUBLED,
        "The ledger has a run of one stage and version twice.",
        f"{_CONSTRAINT} --repair keeps one.",
        Remedy.REMOVE_DOUBLES,
    ),
    "committed_twice": Sort(
        Kind.DOUBLED, "More than one result of a run was committed: fencing failed.", _AGAIN, Remedy.RERUN
    ),
    "rendition_twice": Sort(
        Kind.DOUBLED,
        "A photo has a rendition of one kind twice.",
        f"{_CONSTRAINT} --repair keeps one.",
        Remedy.REMOVE_DOUBLES,
    ),
    "face_twice": Sort(
        Kind.DOUBLED, "A face was stored twice in one place.", "--repair keeps one.", Remedy.REMOVE_DOUBLES
    ),
    "embedding_twice": Sort(
        Kind.DOUBLED,
        "A face, or a photo, has the vector of one model twice.",
        f"{_CONSTRAINT} --repair keeps one.",
        Remedy.REMOVE_DOUBLES,
    ),
    "photo_twice": Sort(
        Kind.DOUBLED, "The same bytes are two photos of a library.", f"{_CONSTRAINT} Put one of them into the trash."
    ),
    "original_shared": Sort(
        Kind.DOUBLED,
        "Two photos name one stored original: deleting one takes the other's bytes.",
        f"{_CONSTRAINT} Delete neither before one has a key of its own.",
    ),
    "library_run_twice": Sort(
        Kind.DOUBLED, "A library has the same work open twice.", f"{_CONSTRAINT} Both end by themselves."
    ),
    # wrong
    "original_wrong": Sort(
        Kind.WRONG,
        "The original's bytes are not those that were uploaded.",
        "It cannot be repaired: restore it from a backup, or delete the object and upload the file again.",
    ),
    "original_unreadable": Sort(
        Kind.WRONG, "The store does not give the original.", "Look at the permissions and the disk."
    ),
    "rendition_missing": Sort(Kind.WRONG, "A rendition is not in its store.", _AGAIN, Remedy.RERUN),
    "rendition_wrong": Sort(Kind.WRONG, "A rendition is not what its row says.", _AGAIN, Remedy.RERUN),
    "chip_missing": Sort(Kind.WRONG, "A face chip is not in its store.", _AGAIN, Remedy.RERUN),
    "chip_wrong": Sort(Kind.WRONG, "A face chip is not what its row says.", _AGAIN, Remedy.RERUN),
    "result_missing": Sort(Kind.WRONG, "A run is done and its rows are not there.", _AGAIN, Remedy.RERUN),
    "result_outdated": Sort(Kind.WRONG, "The rows are not those of the run that ended last.", _AGAIN, Remedy.RERUN),
    "wrongly_skipped": Sort(Kind.WRONG, "A run was skipped although there are faces.", _AGAIN, Remedy.RERUN),
    "embedding_wrong": Sort(Kind.WRONG, "A vector cannot come from its model.", _AGAIN, Remedy.RERUN),
    "counter_wrong": Sort(
        Kind.WRONG,
        "A quota's counter is not the sum of the photos' bytes.",
        "--repair counts again, as manage.py recount_usage --mend does for all.",
        Remedy.RECOUNT,
    ),
    "decision_broken": Sort(
        Kind.WRONG,
        "A face is not whose somebody said that it is, or is whose it is not.",
        "--repair puts it where the decision says.",
        Remedy.OBEY,
    ),
    "shown_differs": Sort(
        Kind.WRONG,
        "A photo is shown and found by something else than its corrections, sidecar, file, tags and people say.",
        "--repair reckons it anew. After FACE_MIN_CONFIDENCE or FACE_MIN_QUALITY was moved, the next grouping does.",
        Remedy.SHOW,
    ),
    # stuck
    "lease_expired": Sort(
        Kind.STUCK,
        "A lease ran out and nobody took the run back.",
        "Is beat running, and a worker of the queue maintenance? --repair releases it.",
        Remedy.RELEASE,
    ),
    "not_claimed": Sort(
        Kind.STUCK,
        "A run is pending, a worker could claim it, and none does.",
        "Look at the worker of that queue; --repair rings for it.",
        Remedy.RELEASE,
    ),
    "no_worker": Sort(
        Kind.STUCK,
        "A run is pending, and no worker is alive that could claim it.",
        "Start a worker of that queue, of this release.",
    ),
    "input_is_there": Sort(
        Kind.STUCK, "A run waits for an input that is there.", "--repair plans it anew.", Remedy.RELEASE
    ),
    "no_input": Sort(
        Kind.STUCK, "A run waits for an input that nothing will make.", "--repair plans the photo.", Remedy.RELEASE
    ),
    "unknown_work": Sort(
        Kind.STUCK,
        "A run of work that neither this release nor any worker knows.",
        "Start a worker of the release that planned it.",
    ),
    "grouping_forgotten": Sort(
        Kind.STUCK, "A library's faces wait for a grouping that nobody asked for.", "--repair asks.", Remedy.GROUP
    ),
    "upload_stranded": Sort(
        Kind.STUCK,
        "All bytes of an upload are there, and nobody takes the file in.",
        "Is beat running, and a worker of the queue maintenance? Its log says what fails; so does HEAD on the upload.",
    ),
    # leaked
    "object_unnamed": Sort(
        Kind.LEAKED,
        "A stored object that no row names.",
        "--repair deletes it when it is older than --grace.",
        Remedy.DELETE_OBJECT,
    ),
    "object_foreign": Sort(
        Kind.LEAKED, "Something in the store that Darkroom did not put there.", "Move it away by hand."
    ),
    "deleted_photo_there": Sort(
        Kind.LEAKED,
        "A photo that was deleted for good is there.",
        "Was the database restored from a backup? Delete it again.",
    ),
    "upload_unfinished": Sort(
        Kind.LEAKED,
        "What an interrupted write left behind.",
        "--repair deletes it when it is older than --grace.",
        Remedy.DELETE_OBJECT,
    ),
    "upload_left": Sort(
        Kind.LEAKED,
        "Bytes of an upload that is over, or of none.",
        "Is beat running, and a worker of the queue maintenance? --repair deletes what is older than --grace.",
        Remedy.DELETE_OBJECT,
    ),
    "faces_without_consent": Sort(
        Kind.LEAKED,
        "Faces or vectors of a library whose face analysis is off.",
        "--repair erases them.",
        Remedy.ERASE_FACES,
    ),
    "vector_without_face": Sort(
        Kind.LEAKED, "A vector whose face is gone.", "The foreign key is missing: delete the row, put the key back."
    ),
}
