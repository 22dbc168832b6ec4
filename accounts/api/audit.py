"""The audit trail, for those who answer for a library."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin

from accounts.api.access import Somewhere
from accounts.api.filters import AuditFilter
from accounts.api.problems import problems
from accounts.api.serializers import AuditEventSerializer
from accounts.api.views import GenericViewSet
from accounts.models import AuditEvent
from accounts.roles import Permission


@extend_schema_view(
    list=extend_schema(
        summary="Read who did what, newest first",
        description="Events of the libraries in which you hold `audit.view`; a superuser sees all. An event has its "
        "`sequence` and `hash` once it is in the chain, which `manage.py audit verify` checks.",
        tags=["audit"],
        responses={200: AuditEventSerializer(many=True), **problems(400, 403)},
    ),
)
class AuditViewSet(ListModelMixin, GenericViewSet):
    """Events that the caller may see."""

    access = {"list": Somewhere(Permission.VIEW_AUDIT)}
    serializer_class = AuditEventSerializer
    filterset_class = AuditFilter

    def get_queryset(self) -> QuerySet[AuditEvent]:
        """Give what the caller may see."""
        return AuditEvent.objects.visible_to(self.request.user)
