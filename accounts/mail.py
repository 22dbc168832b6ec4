"""Mail to people, sent beside the request: a mail server that is down or slow holds up nobody, and undoes nothing.

A mail that could not be sent, or that a process was ended with, is not tried again: whoever asked for it asks again.
"""

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

from django.conf import settings
from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)

# while the mail server hangs, this many wait for it, and more are refused
_MOST_WAITING = 100
_places = threading.BoundedSemaphore(_MOST_WAITING)
# threads are begun with the first mail, so after the web server has forked
_senders = ThreadPoolExecutor(max_workers=4, thread_name_prefix="mail")


def send(*, to: str, subject: str, text: str) -> "Future[bool]":
    """Send a plain text soon; the future says whether the mail server has taken it.

    Call it after the commit of what it tells of. Raises nothing: what goes wrong is logged.
    """
    if not _places.acquire(blocking=False):
        logger.error("a mail was not sent: %s others are waiting for the mail server", _MOST_WAITING)
        return _refused()
    try:
        return _senders.submit(_send, EmailMessage(subject=subject, body=text, to=[to]))
    except RuntimeError:  # no thread begins any more while the process ends
        _places.release()
        logger.error("a mail was not sent: the process is ending")  # noqa: TRY400 - the way there says nothing
        return _refused()


def send_and_wait(*, to: str, subject: str, text: str) -> bool:
    """Send a plain text, and say whether the mail server has taken it within EMAIL_TIMEOUT seconds."""
    try:
        return send(to=to, subject=subject, text=text).result(settings.EMAIL_TIMEOUT)
    except FutureTimeoutError:
        return False


def _refused() -> "Future[bool]":
    refused: Future[bool] = Future()
    refused.set_result(False)
    return refused


def _send(message: EmailMessage) -> bool:
    try:
        message.send()
    except OSError as error:  # SMTP's errors are of this kind, too; their text may hold addresses of people
        logger.error("a mail was not sent: %s", type(error).__name__)  # noqa: TRY400 - the way there says nothing
        return False
    except Exception:  # nobody may be waiting for the future: what is lost there is seen by nobody
        logger.exception("a mail was not sent")
        return False
    else:
        return True
    finally:
        _places.release()
