"""Content-Security-Policy: one for all pages, and what single pages may beside it."""

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """Adds to the policy what the pages of the admin and of the API's documentation need."""

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,
    ) -> PolicyParts:
        """Give the policy of a response by the view that made it."""
        parts = super().get_policy_parts(request, response, report_only)
        match = request.resolver_match
        if match is not None and match.app_name == "admin":
            parts.update = settings.CSP_OF_ADMIN
        elif match is not None and match.view_name == "api-docs":
            parts.update = settings.CSP_OF_API_DOCS
        return parts
