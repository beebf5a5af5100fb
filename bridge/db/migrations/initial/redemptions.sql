-- Redemptions and their codes.

CREATE TABLE dust_redemption (
    id text NOT NULL,
    customer_id text NOT NULL,
    state text NOT NULL,
    dust bigint NOT NULL,
    dust_captured bigint NOT NULL DEFAULT 0,
    value numeric(20, 6),
    currency_code text,
    kind text NOT NULL DEFAULT 'fixed',
    reward_id text,
    percent numeric(7, 4),
    min_cart numeric(20, 6),
    cart_id text,
    order_id text,
    expires_at timestamptz NOT NULL,
    reason text,
    programme_version integer NOT NULL,
    idempotency_key text NOT NULL,
    request_hash text NOT NULL,
    release_requested_at timestamptz,
    lease text,
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    next_step_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_dust_redemption PRIMARY KEY (id),
    CONSTRAINT uq_dust_redemption_customer_id_idempotency_key UNIQUE (customer_id, idempotency_key),
    CONSTRAINT ck_dust_redemption_figures CHECK (0 < dust AND 0 <= dust_captured AND dust_captured <= dust),
    CONSTRAINT ck_dust_redemption_state CHECK (state IN ('pending', 'active', 'captured', 'released', 'failed')),
    CONSTRAINT ck_dust_redemption_kind
        CHECK (kind IN ('fixed', 'products', 'percentage', 'free_shipping', 'free_product'))
);
CREATE INDEX ix_dust_redemption_customer_id_id ON dust_redemption (customer_id, id);
CREATE INDEX ix_dust_redemption_due ON dust_redemption (next_step_at) WHERE next_step_at IS NOT NULL;
CREATE INDEX ix_dust_redemption_open ON dust_redemption (state, expires_at) WHERE state IN ('pending', 'active');
CREATE INDEX ix_dust_redemption_order_id ON dust_redemption (order_id);

CREATE TABLE dust_redemption_code (
    code text NOT NULL,
    redemption_id text NOT NULL,
    dust bigint NOT NULL,
    value numeric(20, 6),
    product_id text,
    quantity integer,
    promotion_id text,
    order_id text,
    dust_captured bigint NOT NULL DEFAULT 0,
    also_order_id text,
    CONSTRAINT pk_dust_redemption_code PRIMARY KEY (code),
    CONSTRAINT ck_dust_redemption_code_captured CHECK (0 <= dust_captured AND dust_captured <= dust),
    CONSTRAINT ck_dust_redemption_code_product_has_quantity CHECK ((product_id IS NULL) = (quantity IS NULL)),
    CONSTRAINT fk_dust_redemption_code_redemption_id_dust_redemption
        FOREIGN KEY (redemption_id) REFERENCES dust_redemption (id)
);
CREATE INDEX ix_dust_redemption_code_also_order_id ON dust_redemption_code (also_order_id)
    WHERE also_order_id IS NOT NULL;
CREATE INDEX ix_dust_redemption_code_order_id ON dust_redemption_code (order_id);
CREATE INDEX ix_dust_redemption_code_redemption_id ON dust_redemption_code (redemption_id);
