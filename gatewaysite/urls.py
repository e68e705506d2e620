"""URLs of the console listener."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from gatewaysite.metrics import page

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("metrics", page),
]
