-- What is booked for each order, manual bonuses, and referrals.

CREATE TABLE order_settlement (
    order_id text NOT NULL,
    customer_id text,
    buyer_id text,
    guest boolean NOT NULL DEFAULT false,
    facts_version integer,
    facts_updated_at timestamptz,
    facts_money numeric NOT NULL DEFAULT 0,
    facts_canceled boolean NOT NULL DEFAULT false,
    gone boolean NOT NULL DEFAULT false,
    revision integer NOT NULL DEFAULT 0,
    check_at timestamptz,
    missing_since timestamptz,
    programme_version integer,
    earning_due boolean NOT NULL DEFAULT false,
    booked bigint NOT NULL DEFAULT 0,
    not_taken bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    taken_back bigint NOT NULL DEFAULT 0,
    worth bigint NOT NULL DEFAULT 0,
    former_share bigint,
    spent numeric,
    currency_code text,
    paid boolean NOT NULL DEFAULT false,
    tier jsonb,
    escrowed bigint NOT NULL DEFAULT 0,
    lines jsonb NOT NULL DEFAULT '{}',
    shipping_points numeric,
    unpaid_dust_only boolean NOT NULL DEFAULT false,
    awaits_payment boolean NOT NULL DEFAULT false,
    pending_until_paid boolean NOT NULL DEFAULT false,
    note text,
    worth_note text,
    order_number text,
    placed_at timestamptz,
    updated_at timestamptz,
    CONSTRAINT pk_order_settlement PRIMARY KEY (order_id),
    CONSTRAINT ck_order_settlement_figures CHECK (booked >= 0 AND not_taken >= 0)
) WITH (fillfactor = 80);
CREATE INDEX ix_order_settlement_buyer_id ON order_settlement (buyer_id) WHERE buyer_id IS NOT NULL;
CREATE INDEX ix_order_settlement_check_at ON order_settlement (check_at) WHERE check_at IS NOT NULL;
CREATE INDEX ix_order_settlement_customer_id ON order_settlement (customer_id);
CREATE INDEX ix_order_settlement_unpaid_dust_only ON order_settlement (order_id) WHERE unpaid_dust_only;
CREATE INDEX ix_order_settlement_waiting ON order_settlement (order_id) WHERE awaits_payment OR NOT earning_due;

CREATE TABLE order_former_owner (
    order_id text NOT NULL,
    customer_id text NOT NULL,
    first boolean NOT NULL,
    booked bigint NOT NULL,
    not_taken bigint NOT NULL,
    expired bigint NOT NULL,
    taken_back bigint NOT NULL,
    unearned bigint NOT NULL,
    worth bigint NOT NULL,
    CONSTRAINT pk_order_former_owner PRIMARY KEY (order_id, customer_id),
    CONSTRAINT ck_order_former_owner_figures
        CHECK (expired >= 0 AND not_taken >= expired AND booked >= not_taken AND taken_back >= 0 AND unearned >= 0)
);
CREATE INDEX ix_order_former_owner_customer_id ON order_former_owner (customer_id);

CREATE TABLE dust_bonus (
    id text NOT NULL,
    idempotency_key text NOT NULL,
    request_hash text NOT NULL,
    amount bigint NOT NULL,
    reason text NOT NULL,
    description text NOT NULL,
    customers integer NOT NULL,
    matures_at timestamptz,
    expires_at timestamptz,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_dust_bonus PRIMARY KEY (id),
    CONSTRAINT uq_dust_bonus_idempotency_key UNIQUE (idempotency_key)
);

CREATE TABLE referral_code (
    customer_id text NOT NULL,
    code text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_referral_code PRIMARY KEY (customer_id),
    CONSTRAINT uq_referral_code_code UNIQUE (code)
);

CREATE TABLE referral (
    customer_id text NOT NULL,
    id text NOT NULL,
    referrer_id text NOT NULL,
    programme_version integer NOT NULL,
    stated_at timestamptz NOT NULL,
    order_id text,
    qualified_at timestamptz,
    referrer_due bigint NOT NULL DEFAULT 0,
    referrer_booked bigint NOT NULL DEFAULT 0,
    referrer_not_taken bigint NOT NULL DEFAULT 0,
    referrer_expired bigint NOT NULL DEFAULT 0,
    referrer_taken_back bigint NOT NULL DEFAULT 0,
    referred_booked bigint NOT NULL DEFAULT 0,
    referred_not_taken bigint NOT NULL DEFAULT 0,
    referred_expired bigint NOT NULL DEFAULT 0,
    referred_taken_back bigint NOT NULL DEFAULT 0,
    note text,
    CONSTRAINT pk_referral PRIMARY KEY (customer_id),
    CONSTRAINT ck_referral_not_oneself CHECK (customer_id <> referrer_id),
    CONSTRAINT uq_referral_id UNIQUE (id)
);
CREATE INDEX ix_referral_referrer_id_qualified_at ON referral (referrer_id, qualified_at);

CREATE TABLE cart_forecast (
    cart_id text NOT NULL,
    dust bigint NOT NULL,
    programme_version integer NOT NULL,
    cart_hash text NOT NULL,
    tier text,
    quoted_at timestamptz NOT NULL,
    order_id text,
    earned bigint,
    outcome text,
    settled_at timestamptz,
    CONSTRAINT pk_cart_forecast PRIMARY KEY (cart_id)
);
CREATE INDEX ix_cart_forecast_settled_at ON cart_forecast (settled_at, outcome) WHERE settled_at IS NOT NULL;
CREATE INDEX ix_cart_forecast_quoted_at ON cart_forecast (quoted_at);
