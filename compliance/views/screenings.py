"""What staff's own programs read of decisions. To a customer there is nothing of this: nobody is told that he is looked
at, nor by which rule."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from compliance.decided import ScreeningNotFound, screening_for_staff
from compliance.serializers.screenings import ScreeningOutput
from wallet_project.api.authentication import actor_of
from wallet_project.api.schema import raises


class ScreeningView(APIView):
    @extend_schema(
        operation_id="screening",
        summary="Why a transaction was decided as it was",
        description=(
            "For staff who may see screenings, with the session of a member of staff: rule version by rule version, "
            "with the facts as the rules saw them, each hit on a list, and what people decided. To everybody else "
            "there is no such screening."
        ),
        responses={200: ScreeningOutput},
    )
    @raises(ScreeningNotFound)
    def get(self, request: Request, transaction_id: UUID) -> Response:
        found = screening_for_staff(actor=actor_of(request), transaction_id=transaction_id)
        return Response(ScreeningOutput(found).data)
