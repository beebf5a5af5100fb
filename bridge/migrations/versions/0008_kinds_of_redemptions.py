"""Kinds of redemptions, and which order used which of a redemption's codes.

Locks: `dust_redemption` and `dust_redemption_code`, exclusively, while each is read once for its new constraint and
index, and while the codes of captured redemptions get their order. Nobody redeems meanwhile.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dust_redemption", sa.Column("kind", sa.Text(), server_default="fixed", nullable=False))
    op.add_column("dust_redemption", sa.Column("reward_id", sa.Text()))
    op.add_column("dust_redemption", sa.Column("percent", sa.Numeric(7, 4)))
    op.add_column("dust_redemption", sa.Column("least_cart", sa.Numeric(20, 6)))
    op.create_check_constraint(
        op.f("ck_dust_redemption_kind"),
        "dust_redemption",
        "kind IN ('fixed', 'products', 'percentage', 'free_shipping', 'free_product')",
    )
    op.add_column("dust_redemption_code", sa.Column("order_id", sa.Text()))
    op.add_column(
        "dust_redemption_code", sa.Column("dust_captured", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.execute(
        "UPDATE dust_redemption SET kind = 'products' WHERE id IN"
        " (SELECT redemption_id FROM dust_redemption_code WHERE product_id IS NOT NULL)"
    )
    # Until now all codes of a redemption counted for its one order: what was captured is spread over them. A code that
    # gets nothing stays free; the next settlement of its order finds it in there.
    op.execute(
        """
        UPDATE dust_redemption_code c
        SET order_id = s.order_id, dust_captured = least(c.dust, greatest(0, s.dust_captured - s.before))
        FROM (SELECT code, r.order_id, r.dust_captured,
                     sum(k.dust) OVER (PARTITION BY k.redemption_id ORDER BY code) - k.dust AS before
              FROM dust_redemption_code k JOIN dust_redemption r ON r.id = k.redemption_id
              WHERE r.order_id IS NOT NULL) s
        WHERE s.code = c.code AND s.dust_captured > s.before
        """
    )
    op.create_check_constraint(
        op.f("ck_dust_redemption_code_captured"),
        "dust_redemption_code",
        "0 <= dust_captured AND dust_captured <= dust",
    )
    op.create_index("ix_dust_redemption_code_order_id", "dust_redemption_code", ["order_id"])


def downgrade() -> None:
    op.drop_index("ix_dust_redemption_code_order_id", table_name="dust_redemption_code")
    op.drop_column("dust_redemption_code", "dust_captured")
    op.drop_column("dust_redemption_code", "order_id")
    op.drop_column("dust_redemption", "least_cart")
    op.drop_column("dust_redemption", "percent")
    op.drop_column("dust_redemption", "reward_id")
    op.drop_column("dust_redemption", "kind")
