"""URLs of the private listener: ``/auth``, which the proxy passes on, and nothing else.

Not-found and failures are problem details here, as everywhere behind the proxy.
"""

from django.urls import include, path

urlpatterns = [path("auth/", include("oidc_clients.urls"))]

handler400 = "gatewaysite.refusals.malformed"
handler403 = "gatewaysite.refusals.malformed"
handler404 = "gatewaysite.refusals.not_found"
handler500 = "gatewaysite.refusals.failed"
