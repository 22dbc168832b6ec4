"""Settings of a server with four faults, each of a kind that schemathesis has to find."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

import config.settings.test as sound

globals().update({name: value for name, value in vars(sound).items() if name.isupper()})
MIDDLEWARE = [*sound.MIDDLEWARE, "schema_sabotage.Sabotage"]

OF_ONE = re.compile(r"/api/v1/(albums|shares)/([0-9a-f-]{36})")


class Sabotage:
    """Puts faults into answers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer as ever, but for four operations."""
        response = self.get_response(request)
        if request.method != "GET":
            return response
        if request.path == "/api/v1/roles" and response.status_code == 200:
            # not what the schema says
            return JsonResponse({"next": None, "previous": None, "results": [{"id": "of no kind"}]})
        if request.path == "/api/v1/tags" and len(request.GET.get("name", "")) > 100:
            return JsonResponse({}, status=500, content_type="application/problem+json")
        found = OF_ONE.fullmatch(request.path)
        return response if found is None or response.status_code != 404 else self._of_others(*found.groups(), response)

    def _of_others(self, kind: str, key: str, response: HttpResponse) -> HttpResponse:
        """Show an album to whoever asks, and tell that a share is there."""
        from gallery.models import Album, Share

        if kind == "shares":
            is_there = Share.objects.filter(pk=key).exists()
            return JsonResponse({}, status=403, content_type="application/problem+json") if is_there else response
        album = Album.objects.filter(pk=key).first()
        return response if album is None else JsonResponse({"id": key, "title": album.title})
