-- Imported balances.

CREATE TABLE import_batch (
    id text NOT NULL,
    name text NOT NULL,
    preset text NOT NULL,
    file_name text NOT NULL,
    file_sha256 text NOT NULL,
    description text NOT NULL,
    state text NOT NULL,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT pk_import_batch PRIMARY KEY (id),
    CONSTRAINT ck_import_batch_state CHECK (state IN ('posting', 'posted', 'undoing', 'undone'))
);
CREATE UNIQUE INDEX uq_import_batch_name ON import_batch (name) WHERE state <> 'undone';

CREATE TABLE import_row (
    batch_id text NOT NULL,
    line integer NOT NULL,
    customer_id text,
    state text NOT NULL,
    amount bigint NOT NULL DEFAULT 0,
    earned_at timestamptz,
    matures_at timestamptz,
    expires_at timestamptz,
    field text,
    reason text,
    taken_back bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    gone bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_import_row PRIMARY KEY (batch_id, line),
    CONSTRAINT ck_import_row_state CHECK (state IN ('waiting', 'posted', 'refused', 'undone', 'dropped')),
    CONSTRAINT ck_import_row_says_why CHECK ((state = 'refused') = (reason IS NOT NULL)),
    CONSTRAINT ck_import_row_says_who_and_how_much
        CHECK (state = 'refused' OR (customer_id IS NOT NULL AND amount > 0)),
    CONSTRAINT fk_import_row_batch_id_import_batch FOREIGN KEY (batch_id) REFERENCES import_batch (id)
);
CREATE INDEX ix_import_row_customer_id ON import_row (customer_id);
CREATE INDEX ix_import_row_posted ON import_row (batch_id, customer_id) WHERE state = 'posted';
CREATE INDEX ix_import_row_waiting ON import_row (batch_id, line) WHERE state = 'waiting';
