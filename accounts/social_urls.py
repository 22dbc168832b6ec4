"""The addresses that a browser is led through between us and a provider; of allauth's views these and no others."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.headless.constants import Client
from allauth.headless.socialaccount.views import RedirectToProviderView
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.github.views import oauth2_callback as github_callback
from allauth.socialaccount.providers.google.views import oauth2_callback as google_callback
from allauth.socialaccount.providers.openid_connect.views import callback as openid_connect_callback
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path
from redis.exceptions import RedisError
from requests import RequestException


def _guarded(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Answer what allauth leaves to the server: a provider that is not set up, or that does not answer."""

    @wraps(view)
    def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, **kwargs)
        except SocialApp.DoesNotExist as error:
            raise Http404 from error
        except (RequestException, RedisError) as error:
            return render_authentication_error(request, None, exception=error)

    return guarded


# the names are allauth's: it looks up the address that the provider sends the browser back to
urlpatterns = [
    path("redirect", _guarded(RedirectToProviderView.as_api_view(client=Client.BROWSER)), name="social-redirect"),
    path("google/callback", _guarded(google_callback), name="google_callback"),
    path("github/callback", _guarded(github_callback), name="github_callback"),
    path("<slug:provider_id>/callback", _guarded(openid_connect_callback), name="openid_connect_callback"),
]
