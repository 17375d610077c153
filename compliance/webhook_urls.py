"""Where an identity provider calls us; outside of the API and its versions."""

from django.urls import path

from compliance.webhooks import identity

urlpatterns = [path("identity", identity, name="identity-webhook")]
