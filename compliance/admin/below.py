"""What compliance shows on the pages of the apps below: screenings and cases of transactions, checks of customers."""

from collections.abc import Iterable

from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.models import Account, Customer
from compliance.admin.checks import facts_values, findings_table
from compliance.models import Case, KycCheck, Screening
from ledger.models import Escalation, Transaction
from wallet_project.utils.admin import Panel, badge, instant, link, named_values, register_panel, table

SHOWN = 20


def screening_shown(request: HttpRequest, row: Transaction) -> SafeString | None:
    screening = Screening.objects.filter(transaction=row).first()
    if screening is None:
        return None
    summary = {
        "screening": link(Screening, screening.id),
        "status": badge(screening.status),
        "decided by": screening.decided_by,
        "decided (UTC)": instant(screening.decided_at),
    }
    facts = SafeString("<h3>Facts</h3>") + facts_values(screening.facts) if screening.facts else SafeString()
    return SafeString(named_values(summary) + SafeString("<h3>Findings</h3>") + findings_table(screening) + facts)


def case_of_transaction(request: HttpRequest, row: Transaction) -> SafeString | None:
    cases = (
        Case.objects.filter(screening__transaction=row)
        | Case.objects.filter(escalation__transaction=row)
        | Case.objects.filter(payer_screening__transaction=row)
    )
    return _cases(cases.select_related("assignee").order_by("-id")[:SHOWN], leave_out_empty=True)


def case_of_escalation(request: HttpRequest, row: Escalation) -> SafeString | None:
    return _cases(Case.objects.filter(escalation=row).select_related("assignee"))


def cases_of_customer(request: HttpRequest, row: Customer) -> SafeString | None:
    return _cases(Case.objects.filter(customer=row).select_related("assignee").order_by("-id")[:SHOWN])


def cases_of_account(request: HttpRequest, row: Account) -> SafeString | None:
    if row.customer_id is None:
        return None
    return _cases(Case.objects.filter(customer=row.customer_id).select_related("assignee").order_by("-id")[:SHOWN])


def checks_of_customer(request: HttpRequest, row: Customer) -> SafeString:
    rows = [
        (
            link(KycCheck, each.id),
            each.get_level_display(),
            badge(each.status),
            each.decided_by or "–",
            each.reason or "–",
            instant(each.created_at),
        )
        for each in KycCheck.objects.filter(customer=row).order_by("-id")[:SHOWN]
    ]
    return table(
        ["Check", "Level", "Status", "Decided by", "Reason", "Since (UTC)"], rows, empty="None was asked for yet."
    )


def _cases(cases: Iterable[Case], *, leave_out_empty: bool = False) -> SafeString | None:
    rows = [
        (link(Case, each.id, each.reason), badge(each.status), each.assignee or "nobody", instant(each.created_at))
        for each in cases
    ]
    if not rows and leave_out_empty:
        return None
    return table(["Case", "Status", "With", "Since (UTC)"], rows, empty="No case.")


register_panel(Transaction, Panel("Case", case_of_transaction, "compliance.view_case", order=15))
register_panel(Transaction, Panel("Screening", screening_shown, "compliance.view_screening", order=20))
register_panel(Escalation, Panel("Case", case_of_escalation, "compliance.view_case", order=15))
register_panel(Customer, Panel("Identity checks", checks_of_customer, "compliance.view_kyccheck", order=30))
register_panel(Customer, Panel("Cases", cases_of_customer, "compliance.view_case", order=40))
register_panel(Account, Panel("Cases of the customer", cases_of_account, "compliance.view_case", order=50))
