"""Addresses below /s/. A photo is named by its place in the share: its id would tell when it was uploaded."""

from django.urls import path

from gallery.sharing import views

urlpatterns = [
    path("<str:token>", views.share_page, name="shared"),
    path("<str:token>/<int:position>", views.photo_page, name="shared-photo"),
    path("<str:token>/<int:position>/original", views.original, name="shared-original"),
    path("<str:token>/<int:position>/<slug:kind>", views.rendition, name="shared-rendition"),
]
