"""Where allauth (sign-up, login, second factors) meets our people."""

from smtplib import SMTPException
from typing import Any, cast

import structlog
from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.app_settings import EmailVerificationMethod
from allauth.account.internal.flows.signup import prevent_enumeration
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.headless.base.response import AuthenticationResponse
from allauth.headless.internal.restkit.response import ErrorResponse
from django.contrib.auth.hashers import make_password
from django.forms import Form
from django.http import HttpRequest, HttpResponse

from accounts.models import User
from accounts.services.customers import EmailTaken, register_customer

logger = structlog.get_logger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Named in settings.ACCOUNT_ADAPTER."""

    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        """Who signs up is a customer: the user, the principal and the customer come in one commit."""
        super().save_user(request, user, form, commit=False)
        try:
            register_customer(user=user)
        except EmailTaken:
            # Two sign-ups with one address at once: the second gets what it would have got a moment later.
            raise ImmediateHttpResponse(_answer_to_taken_email(self, request, form)) from None
        return user

    def send_account_already_exists_mail(self, email: str) -> None:
        # A new user's password is hashed, which takes its time: so that this answer comes no faster than that one.
        make_password(email)
        super().send_account_already_exists_mail(email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """A mail server that is down must not turn a finished sign-up into an error: the next login, or the request
        for another mail, sends it again."""
        try:
            super().send_mail(template_prefix, email, context)
        except (SMTPException, OSError) as error:
            logger.error("mail_not_sent", template=template_prefix, error=type(error).__name__)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth's own has the Host header in it, and whoever chooses another port there would get attempts anew.
        return str(credentials.get("email") or credentials.get("username") or "").lower()


def _answer_to_taken_email(adapter: AccountAdapter, request: HttpRequest, form: Form) -> HttpResponse:
    if app_settings.EMAIL_VERIFICATION == EmailVerificationMethod.MANDATORY:
        # The same as for a new address: "look into your mail", which says that there is a user already.
        answer = prevent_enumeration(request, email=form.cleaned_data["email"])
        return cast(HttpResponse, AuthenticationResponse.from_response(request, answer))
    form.add_error("email", adapter.validation_error("email_taken"))
    return cast(HttpResponse, ErrorResponse(request, input=form))
