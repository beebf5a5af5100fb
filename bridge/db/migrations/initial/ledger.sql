-- The ledger: balances, postings, lots, merged accounts, and running totals.

CREATE TABLE dust_balance (
    customer_id text NOT NULL,
    balance bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    pending bigint NOT NULL DEFAULT 0,
    debt bigint NOT NULL DEFAULT 0,
    waived bigint NOT NULL DEFAULT 0,
    waived_at timestamp with time zone,
    version bigint NOT NULL DEFAULT 0,
    head bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_dust_balance PRIMARY KEY (customer_id),
    CONSTRAINT ck_dust_balance_figures CHECK (held >= 0 AND pending >= 0 AND debt >= 0 AND waived >= 0),
    CONSTRAINT ck_dust_balance_overdraft CHECK (held <= balance + debt)
) WITH (fillfactor = 70);
CREATE INDEX ix_dust_balance_in_debt ON dust_balance (debt) WHERE debt > 0;

CREATE TABLE dust_transaction (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    id text NOT NULL,
    amount bigint NOT NULL,
    held bigint NOT NULL,
    pending bigint NOT NULL,
    type text NOT NULL,
    kind text NOT NULL,
    reference_type text NOT NULL,
    reference_id text NOT NULL,
    order_id text,
    description text NOT NULL,
    balance_after bigint NOT NULL,
    held_after bigint NOT NULL,
    pending_after bigint NOT NULL,
    idempotency_key text,
    programme_version integer,
    actor text NOT NULL,
    event_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT pk_dust_transaction PRIMARY KEY (customer_id, version),
    CONSTRAINT ck_dust_transaction_type
        CHECK (type = CASE sign(amount) WHEN 1 THEN 'credit' WHEN -1 THEN 'debit' ELSE 'memo' END)
);
CREATE INDEX ix_dust_transaction_reference ON dust_transaction (customer_id, reference_id)
    WHERE reference_type IN ('redemption', 'merge');
CREATE UNIQUE INDEX uq_dust_transaction_idempotency_key ON dust_transaction (customer_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE dust_lot (
    customer_id text NOT NULL,
    id text NOT NULL,
    origin_version bigint NOT NULL,
    source_type text NOT NULL,
    source_id text NOT NULL,
    amount bigint NOT NULL,
    remaining bigint NOT NULL,
    held bigint NOT NULL,
    matured boolean NOT NULL,
    matures_at timestamptz,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_dust_lot PRIMARY KEY (customer_id, id),
    CONSTRAINT ck_dust_lot_figures CHECK (0 <= held AND held <= remaining AND remaining <= amount),
    CONSTRAINT ck_dust_lot_only_matured_is_held CHECK (matured OR held = 0)
) WITH (fillfactor = 80);
CREATE INDEX ix_dust_lot_expiring ON dust_lot (expires_at)
    WHERE remaining > held AND matured AND expires_at IS NOT NULL;
CREATE INDEX ix_dust_lot_maturing ON dust_lot (matures_at) WHERE remaining > 0 AND NOT matured;
CREATE INDEX ix_dust_lot_open ON dust_lot (customer_id) WHERE remaining > 0;

CREATE TABLE dust_lot_use (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    lot_id text NOT NULL,
    remaining bigint NOT NULL,
    held bigint NOT NULL,
    CONSTRAINT pk_dust_lot_use PRIMARY KEY (customer_id, version, lot_id)
);

CREATE TABLE expiry_announcement (
    customer_id text NOT NULL,
    lot_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT pk_expiry_announcement PRIMARY KEY (customer_id, lot_id)
);
CREATE INDEX ix_expiry_announcement_expires_at ON expiry_announcement (expires_at);

CREATE TABLE customer_merge (
    id text NOT NULL,
    customer_id text NOT NULL,
    survivor_id text NOT NULL,
    merged_at timestamptz NOT NULL,
    merged_by text NOT NULL,
    unmerged_at timestamptz,
    unmerged_by text,
    CONSTRAINT pk_customer_merge PRIMARY KEY (id),
    CONSTRAINT ck_customer_merge_two_customers CHECK (customer_id <> survivor_id)
);
CREATE INDEX ix_customer_merge_survivor_id ON customer_merge (survivor_id);
CREATE UNIQUE INDEX uq_customer_merge_active ON customer_merge (customer_id) WHERE unmerged_at IS NULL;

CREATE TABLE ledger_total (
    kind text NOT NULL,
    postings bigint NOT NULL,
    credited bigint NOT NULL,
    debited bigint NOT NULL,
    held bigint NOT NULL,
    pending bigint NOT NULL
);

CREATE TABLE daily_close (
    day date NOT NULL,
    outstanding bigint NOT NULL,
    owed_by_customers bigint NOT NULL,
    held bigint NOT NULL,
    pending bigint NOT NULL,
    escrow bigint NOT NULL,
    customers bigint NOT NULL,
    movements jsonb NOT NULL,
    value jsonb NOT NULL,
    programme_version integer NOT NULL,
    digest bytea NOT NULL,
    closed_at timestamptz NOT NULL,
    CONSTRAINT pk_daily_close PRIMARY KEY (day),
    CONSTRAINT ck_daily_close_figures
        CHECK (outstanding >= 0 AND owed_by_customers >= 0 AND held >= 0 AND pending >= 0)
);
