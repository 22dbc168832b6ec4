"""Receipts of what was erased."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from accounts.api.access import Seeing
from accounts.api.problems import problems
from accounts.api.serializers import ErasureReceiptSerializer
from accounts.api.views import GenericViewSet
from accounts.models import ErasureReceipt
from accounts.roles import Permission

TAGS = ["erasures"]


@extend_schema_view(
    list=extend_schema(
        summary="List the receipts of what was erased, newest first",
        description="Of the libraries whose settings you may change, and of what you had erased yourself.",
        tags=TAGS,
        responses={200: ErasureReceiptSerializer(many=True), **problems(400)},
    ),
    retrieve=extend_schema(
        summary="Read the receipt of an erasure",
        description="While `ended_at` is null the erasure is under way, and the counts grow.",
        tags=TAGS,
        responses={200: ErasureReceiptSerializer, **problems(404)},
    ),
)
class ErasureViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Receipts that the caller may see."""

    # beside what the caller had erased themselves
    access = {"list": Seeing(Permission.EDIT_LIBRARY), "retrieve": Seeing(Permission.EDIT_LIBRARY)}
    serializer_class = ErasureReceiptSerializer
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[ErasureReceipt]:
        """Give what the caller may see."""
        return ErasureReceipt.objects.visible_to(self.request.user)
