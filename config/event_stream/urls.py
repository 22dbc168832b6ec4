"""The addresses of the process that streams events; /live is answered before."""

from django.urls import path

from config.event_stream.views import ListenView, metrics

urlpatterns = [
    path("api/v1/events", ListenView.as_view(), name="events"),
    path("metrics", metrics, name="metrics"),
]

handler400 = "config.problems.bad_request"
handler403 = "config.problems.permission_denied"
handler404 = "config.problems.page_not_found"
handler500 = "config.problems.server_error"
