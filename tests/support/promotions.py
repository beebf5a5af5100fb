"""A promotion's rule that carries the facts of its redemption, as the bridge makes it and the plugin reads it."""

import json
from typing import Any

from bridge.development.demo.people import Merchant

RULE_FIELDS = "id,code,rules.id,rules.description"


def owner_rule(customer_id: str, **facts: Any) -> dict[str, Any]:
    """The rule for the customer alone, with these facts."""
    description = json.dumps({"customer_id": customer_id, **facts})
    return {"attribute": "customer.id", "operator": "eq", "values": [customer_id], "description": description}


def facts_of(promotion: dict[str, Any]) -> dict[str, Any]:
    """The facts that a promotion carries in one of its rules."""
    return dict(json.loads(_carrier(promotion)["description"]))


def facts_in_medusa(merchant: Merchant, code: str) -> dict[str, Any]:
    """The facts of the code's promotion, as the Admin API shows them."""
    return facts_of(_promotion(merchant, code))


def write_facts(merchant: Merchant, code: str, facts: dict[str, Any]) -> None:
    """Give the code's promotion these facts instead."""
    promotion = _promotion(merchant, code)
    rule = {"id": _carrier(promotion)["id"], "description": json.dumps(facts), "values": [facts["customer_id"]]}
    merchant.post(f"/admin/promotions/{promotion['id']}/rules/batch", {"update": [rule]})


def _promotion(merchant: Merchant, code: str) -> dict[str, Any]:
    return dict(merchant.get("/admin/promotions", code=code, fields=RULE_FIELDS)["promotions"][0])


def _carrier(promotion: dict[str, Any]) -> dict[str, Any]:
    return next(rule for rule in promotion["rules"] if rule.get("description"))
