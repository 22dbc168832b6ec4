"""Shared links, opened by anybody who has them.

A token that was guessed, a share that was revoked or has expired, one whose sharer may no longer share, and a photo
that is gone all get the same answer. Everything is asked anew each time: pages are never kept by a browser or a proxy,
and images are kept but asked for again, so that they end with the share and still travel once.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.hashers import check_password
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from accounts.digests import digest
from accounts.problems import NotFoundError
from accounts.roles import Permission
from gallery import downloads
from gallery.models import Share
from gallery.models.share import PASSWORD_MAX_LENGTH
from gallery.services import shares
from gallery.sharing import attempts, unlocking
from gallery.sharing.pictures import Picture, picture_at, pictures_of
from photos import storage
from photos.models import Photo, Rendition

_HEADERS = {
    "Cache-Control": downloads.NEVER_KEPT,
    # the address is the key: no other site may learn it, and no search engine keep it
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}

View = Callable[..., HttpResponseBase]


def _public(view: View) -> View:
    """Give a view the headers of all that is shared, and the one answer for what is not there."""

    @wraps(view)
    def answer(request: HttpRequest, **named: Any) -> HttpResponseBase:
        try:
            response = view(request, **named)
        except NotFoundError:
            response = _page("gone", status=404)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return answer


# without a token against forged forms: under no-referrer a browser does not say where a form comes from, so it would be
# refused; a stranger's form can do no more than open a share to somebody, with a password that the stranger knows
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@_public
def share_page(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show what is shared, after the password where there is one."""
    share = _opened(token)
    if request.method == "POST":
        return _unlock(request, share, token)
    if not unlocking.is_unlocked(request, share):
        return _password_page()
    pictures = pictures_of(share, token=token)
    if not pictures:
        raise NotFoundError("Nothing of it is left.")
    # a browser that loads ahead may never show it
    if request.method == "GET" and "prefetch" not in request.headers.get("Sec-Purpose", ""):
        shares.note_view(share_id=share.pk)
    return _page(
        "share", share=share, heading=_heading(share), pictures=pictures, **_original_of(share, token, pictures)
    )


@require_safe
@_public
def photo_page(request: HttpRequest, token: str, position: int) -> HttpResponseBase:
    """Show one of several photos, large, with the way to those beside it."""
    share = _opened(token)
    if not unlocking.is_unlocked(request, share):
        return HttpResponseRedirect(reverse("shared", args=[token]))
    found = picture_at(share, position, token=token)
    if found is None:
        raise NotFoundError("The photo is not there.")
    picture, before_url, after_url = found
    return _page(
        "photo",
        heading=_heading(share),
        share_url=reverse("shared", args=[token]),
        picture=picture,
        before_url=before_url,
        after_url=after_url,
        **_original_of(share, token, [picture]),
    )


@require_safe
@_public
def rendition(request: HttpRequest, token: str, position: int, kind: str) -> HttpResponseBase:
    """Give a rendition: re-encoded from pixels, so that nothing but them is in it."""
    share = _unlocked(request, token)
    photos = share.shown().filter(position=position).values("photo_id")
    row = Rendition.objects.filter(photo__in=photos, kind=kind).first()
    if row is None:
        raise NotFoundError("The rendition is not there.")
    return downloads.object_response(
        request,
        alias=storage.RENDITIONS,
        key=row.storage_key,
        content_type=row.mime_type,
        etag=row.sha256,
        cache_control=downloads.REVALIDATE,
        filename=f"photo-{position}.jpg",
        may_redirect=False,
    )


@require_safe
@_public
def original(request: HttpRequest, token: str, position: int) -> HttpResponseBase:
    """Give the file as it was uploaded, where the sharer allows it and may have it too."""
    share = _unlocked(request, token)
    if not _allows_originals(share):
        raise NotFoundError("Originals are not shared.")
    photo = Photo.objects.filter(pk__in=share.shown().filter(position=position).values("photo_id")).first()
    if photo is None:
        raise NotFoundError("The photo is not there.")
    plain = f"photo-{position}.{photo.image_format.lower()}"
    filename = (photo.original_filename if share.show_metadata else "") or plain
    return downloads.original_response(request, photo=photo, taker=share, filename=filename, may_redirect=False)


def _opened(token: str) -> Share:
    """Give the share that a token opens now; raises NotFoundError."""
    found = Share.objects.usable().select_related("created_by").filter(token_sha256=digest(token)).first()
    if found is None or not found.permits(Permission.SHARE_PHOTOS):
        raise NotFoundError("The link opens nothing.")
    return found


def _unlocked(request: HttpRequest, token: str) -> Share:
    share = _opened(token)
    if not unlocking.is_unlocked(request, share):
        raise NotFoundError("The password was not given.")
    return share


def _unlock(request: HttpRequest, share: Share, token: str) -> HttpResponse:
    try:
        attempts.take(request, share_id=share.pk)
    except attempts.TooManyAttemptsError:
        message = _("Too many attempts. Try again in ten minutes.")
        response = _password_page(message, status=429)
        response["Retry-After"] = str(attempts.WINDOW_SECONDS)
        return response
    given = request.POST.get("password", "")[:PASSWORD_MAX_LENGTH]
    if share.has_password and not check_password(given, share.password):
        return _password_page(_("That is not the password."), status=403)
    attempts.give_back(request, share_id=share.pk)
    # by another method: a reload does not send the password again
    response = HttpResponseRedirect(reverse("shared", args=[token]))
    response.status_code = 303
    unlocking.remember(response, request=request, share=share, token=token)
    return response


def _allows_originals(share: Share) -> bool:
    return share.allow_originals and share.permits(Permission.DOWNLOAD_ORIGINALS)


def _heading(share: Share) -> str:
    return share.title or _("Shared photos")


def _original_of(share: Share, token: str, pictures: list[Picture]) -> dict[str, str]:
    """Give the address of the original where a page shows a single photo and its original may be had."""
    if len(pictures) != 1 or not _allows_originals(share):
        return {"original_url": ""}
    return {"original_url": reverse("shared-original", args=[token, pictures[0].position])}


def _password_page(message: str = "", *, status: int = 200) -> HttpResponse:
    return _page("password", message=message, password_max_length=PASSWORD_MAX_LENGTH, status=status)


def _page(name: str, *, status: int = 200, **context: object) -> HttpResponse:
    return HttpResponse(render_to_string(f"sharing/{name}.html", context), status=status)
