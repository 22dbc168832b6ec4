"""Retiring an operation: its answers and the schema say so, a year before it goes."""

from datetime import date

import pytest
from django.test import Client
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from accounts.api.access import PUBLIC
from accounts.api.problems import problems
from accounts.api.promises.deprecation import deprecated
from accounts.api.views import APIView, GenericViewSet


class ThingSerializer(serializers.Serializer):
    """A thing."""

    name = serializers.CharField()


class ThingViewSet(GenericViewSet):
    """Things: reading one is retired in favour of another operation, and finding one has no end yet."""

    access = dict.fromkeys(("retrieve", "found", "kept"), PUBLIC)
    authentication_classes = ()
    serializer_class = ThingSerializer

    @extend_schema(description="Read it.", responses={200: ThingSerializer, **problems(404)})
    @deprecated(since=date(2026, 3, 1), sunset=date(2027, 3, 1), successor="/api/v1/things/1/kept")
    def retrieve(self, request: Request, pk: str) -> Response:
        """Give a thing, or not."""
        if pk == "none":
            raise NotFound
        return Response({"name": pk})

    @deprecated(since=date(2026, 3, 1))
    @action(detail=False)
    def found(self, request: Request) -> Response:
        """Give a thing."""
        return Response({"name": "found"})

    @action(detail=True)
    def kept(self, request: Request, pk: str) -> Response:
        """Give a thing that stays."""
        return Response({"name": pk})


class OldView(APIView):
    """A view that is no viewset."""

    access = {"get": PUBLIC}
    authentication_classes = ()

    @extend_schema(responses={200: ThingSerializer})
    @deprecated(since=date(2026, 3, 1), sunset=date(2028, 1, 1))
    def get(self, request: Request) -> Response:
        """Give a thing."""
        return Response({"name": "old"})


router = SimpleRouter(trailing_slash=False)
router.register("things", ThingViewSet, basename="thing")
urlpatterns = [path("api/v1/", include(router.urls)), path("api/v1/old", OldView.as_view())]

pytestmark = pytest.mark.urls(__name__)


def test_every_answer_says_so(client: Client) -> None:
    answer, missing, old = (client.get(f"/api/v1/{one}") for one in ("things/1", "things/none", "old"))

    assert [one.status_code for one in (answer, missing, old)] == [200, 404, 200]
    for one in (answer, missing):
        assert one["Deprecation"] == "@1772323200"
        assert one["Sunset"] == "Mon, 01 Mar 2027 00:00:00 GMT"
        assert one["Link"] == '<http://testserver/api/v1/things/1/kept>; rel="successor-version"'
    assert (old["Deprecation"], old["Sunset"]) == ("@1772323200", "Sat, 01 Jan 2028 00:00:00 GMT")
    assert "Link" not in old


def test_what_has_no_end_yet_names_none(client: Client) -> None:
    answer = client.get("/api/v1/things/found")

    assert answer["Deprecation"] == "@1772323200"
    assert "Sunset" not in answer
    assert "Link" not in answer


def test_what_stays_says_nothing(client: Client) -> None:
    assert "Deprecation" not in client.get("/api/v1/things/1/kept")


def test_the_schema_says_so() -> None:
    paths = SchemaGenerator(patterns=urlpatterns).get_schema(public=True)["paths"]

    retired = paths["/api/v1/things/{id}"]["get"]
    assert retired["deprecated"] is True
    assert retired["description"] == (
        "Read it.\n\n**Deprecated** since 2026-03-01. It goes on 2027-03-01 at the earliest. Use "
        "`/api/v1/things/1/kept` instead."
    )
    assert paths["/api/v1/things/found"]["get"]["deprecated"] is True
    assert paths["/api/v1/old"]["get"]["deprecated"] is True
    assert "deprecated" not in paths["/api/v1/things/{id}/kept"]["get"]


def test_clients_have_a_year() -> None:
    with pytest.raises(ValueError, match="2027-02-28 is too early for what is deprecated since 2026-03-01"):
        deprecated(since=date(2026, 3, 1), sunset=date(2027, 2, 28))
