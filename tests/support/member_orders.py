"""An order in Medusa, of one line, for random sequences about members."""

from dataclasses import dataclass
from datetime import datetime

from bridge.ids import CustomerId, OrderId
from bridge.medusa.orders import Order, deleted_order, read_order
from tests.support.orders import line, order

GUEST = CustomerId("cus_guest")


@dataclass(kw_only=True)
class Bought:
    """An order in Medusa, of one line."""

    id: str
    customer: CustomerId
    price: int
    quantity: int
    placed: datetime
    version: int = 1
    returned: int = 0
    paid: bool = False
    canceled: bool = False
    gone: bool = False
    code: str | None = None
    discount: int = 0
    claimed: bool = False

    @property
    def stands(self) -> bool:
        return not (self.canceled or self.gone)

    def worth(self) -> int:
        if not self.stands:
            return 0
        return (self.price * self.quantity - self.discount) * (self.quantity - self.returned) // self.quantity

    def facts(self) -> Order:
        if self.gone:
            return deleted_order(
                OrderId(self.id), customer_id=self.customer, is_guest=self.customer == GUEST, currency_code="eur",
                version=self.version, placed_at=self.placed, updated_at=self.placed,
            )  # fmt: skip
        return read_order(
            order(
                self.id,
                customer_id=self.customer,
                guest=self.customer == GUEST,
                email="guest@shop.test",
                placed=self.placed,
                version=self.version,
                status="canceled" if self.canceled else "pending",
                payment_status="captured" if self.paid else "authorized",
                lines=[
                    line(
                        f"line_{self.id}",
                        price=self.price,
                        quantity=self.quantity,
                        returned=self.returned,
                        discount=self.discount,
                        code=self.code,
                    )
                ],
            )
        )
