"""The stock class as its documentation wires it, to show what ours is for."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("oidc/", include("mozilla_django_oidc.urls")),
    path("admin/", admin.site.urls),
]
