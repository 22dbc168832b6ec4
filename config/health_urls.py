from django.urls import path

from config.health import views
from config.health.api import HealthView

urlpatterns = [
    path("live", views.live, name="live"),
    path("ready", views.ready, name="ready"),
    path("health", views.health, name="health"),
    path("health/db", views.health_of_database, name="health-database"),
    path("health/ai", views.health_of_models, name="health-models"),
    path("metrics", views.metrics, name="metrics"),
    path("api/v1/health", HealthView.as_view(), name="api-health"),
]
