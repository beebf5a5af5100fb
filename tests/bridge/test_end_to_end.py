"""The flow from a signed webhook to a balance, without processes in between."""

from fastapi.testclient import TestClient

from bridge.inbox.process_batch import process_batch
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.orders import order_event, sample


def test_the_captured_order_earns_its_net_items(api: TestClient) -> None:
    document = sample("order_with_promotion_full_fields")
    response = deliver(api, order_event(document))
    assert (response.status_code, response.json()["status"]) == (202, "accepted")
    process_batch()
    balance = api.get("/store/dust", headers=tokens.customer(document["customer_id"]))
    assert balance.json() == {"points": 27}
