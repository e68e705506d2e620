"""URLs of the console listener."""

from django.contrib import admin
from django.urls import path

from gatewaysite.metrics import page

urlpatterns = [path("admin/", admin.site.urls), path("metrics", page)]
