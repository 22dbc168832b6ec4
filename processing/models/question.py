from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7


class Question(models.Model):
    """Something that a web process asks of a worker, and waits for some seconds for: a vector of words, or of a face.

    It is gone with its answer, and whoever asks may be gone before: then it is swept when it has expired. Its table is
    UNLOGGED: nothing of it is written to PostgreSQL's log, sent to a replica or found in a base backup, and after a
    crash of PostgreSQL it is empty. That is what pictures of people who are looked for want. No user is named.
    """

    class Step(models.TextChoices):
        """What is to be done next, each by the workers of one queue."""

        WORDS = "words", _("embed words")
        PICTURE = "picture", _("decode a picture")
        FACE = "face", _("embed a face of a preview")
        ANSWERED = "answered", _("answered")
        REFUSED = "refused", _("refused")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    step = models.CharField(_("step"), max_length=16, choices=Step.choices)
    # name -> weights hash of what it takes: a worker that has other ones leaves it alone
    needs = models.JSONField(default=dict)
    # the words; or which face of several is meant, by its place among them
    asked = models.JSONField(default=dict)
    # a stranger's file until it has been decoded, then the preview that we made of it, then nothing
    content = models.BinaryField(null=True)
    answer = models.JSONField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    asked_at = models.DateTimeField(default=Now)
    expires_at = models.DateTimeField()
    # a step is tried once: whoever asks has less patience than a second try takes, and a file that ends processes
    # shall end one
    taken_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("question")
        verbose_name_plural = _("questions")
        constraints = [
            models.CheckConstraint(
                condition=~Q(step="answered") | Q(answer__isnull=False), name="question_answered_has_answer"
            ),
            models.CheckConstraint(
                condition=~Q(step="refused") | Q(error_code__gt=""), name="question_refused_has_code"
            ),
            # what a face was found on is kept for no longer than it is needed
            models.CheckConstraint(
                condition=Q(content__isnull=True) | Q(step__in=["picture", "face"]), name="question_content_is_needed"
            ),
        ]

    def __str__(self) -> str:
        return f"question {self.id}: {self.step}"
