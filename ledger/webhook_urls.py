from django.urls import path

from ledger import webhooks

urlpatterns = [path("bank", webhooks.bank, name="bank-webhook")]
