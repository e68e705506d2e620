"""Every path, through the gateway."""

from django.urls import re_path

from apis.gateway.view import catch_all
from gatewaysite.catch_all import application

urlpatterns = [re_path("", catch_all(lambda: application.gateway))]
