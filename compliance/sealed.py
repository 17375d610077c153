"""What of this app is under seal (docs/chain.md)."""

from wallet_project.chain.declarations import Sealed

TABLES = [
    Sealed("compliance_statechange", moment="at", salted=["reason"]),
    Sealed("compliance_decision", moment="created_at", salted=["reason"]),
    Sealed(
        "compliance_document",
        moment="created_at",
        salted=["sha256"],
        mutable=["status", "reason", "decided_at"],
    ),
    Sealed("compliance_documentaccess", moment="at"),
    Sealed("compliance_riskweights", moment="created_at", salted=["reason"], mutable=["status"]),
    Sealed("compliance_riskagreement", moment="created_at", salted=["reason"]),
    Sealed("compliance_riskscore", moment="created_at", salted=["parts"]),
    Sealed("compliance_casenote", moment="created_at", salted=["text"]),
    # Its digest covers the entries and names that it holds; the report on the files is left out.
    Sealed(
        "compliance_listversion",
        moment="imported_at",
        only=["list_id", "number", "digest", "entries", "names", "added", "changed", "removed", "imported_by_id"],
    ),
    Sealed("compliance_listdecision", moment="created_at", salted=["reason"]),
    Sealed("compliance_namescreening", moment="created_at", salted=["asked"], mutable=["status", "decided_at"]),
    Sealed("compliance_namematch", moment="created_at", salted=["explanation"]),
    Sealed("compliance_payerscreening", moment="created_at", salted=["asked"], mutable=["status", "decided_at"]),
    Sealed("compliance_destinationmatch", moment="created_at", salted=["explanation"]),
    Sealed("compliance_rule", moment="created_at", salted=["description"]),
    Sealed("compliance_ruleversion", moment="created_at", mutable=["status"]),
    Sealed("compliance_ruledecision", moment="created_at", salted=["reason"]),
    Sealed("compliance_rulesrevision", moment="made_at", key="number"),
    Sealed("compliance_selfaudit", moment="ended_at", salted=["results"]),
    Sealed(
        "compliance_inboundevent",
        moment="received_at",
        salted=["payload"],
        mutable=["next_at", "attempts", "processed_at", "last_error"],
    ),
]
