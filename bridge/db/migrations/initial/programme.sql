-- Programme versions and drafts, requested simulations, currencies, and products with a price in points.

CREATE TABLE programme_version (
    version integer NOT NULL,
    document jsonb NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_programme_version PRIMARY KEY (version)
);

CREATE TABLE programme_draft (
    id text NOT NULL,
    name text NOT NULL,
    document jsonb NOT NULL,
    based_on integer NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    starts_at timestamptz,
    reason text,
    CONSTRAINT pk_programme_draft PRIMARY KEY (id),
    CONSTRAINT ck_programme_draft_reason CHECK (reason IS NULL OR starts_at IS NOT NULL)
);

CREATE TABLE programme_simulation (
    id text NOT NULL,
    state text NOT NULL,
    document jsonb NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    result jsonb,
    reason text,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT pk_programme_simulation PRIMARY KEY (id),
    CONSTRAINT ck_programme_simulation_state CHECK (state IN ('pending', 'running', 'done', 'failed')),
    CONSTRAINT ck_programme_simulation_result CHECK ((state = 'done') = (result IS NOT NULL))
);
CREATE INDEX ix_programme_simulation_open ON programme_simulation (created_at)
    WHERE state IN ('pending', 'running');

CREATE TABLE currency (
    code text NOT NULL,
    decimal_digits smallint NOT NULL,
    learned_at timestamptz NOT NULL,
    CONSTRAINT pk_currency PRIMARY KEY (code)
);

CREATE TABLE dust_product (
    product_id text NOT NULL,
    dust_only boolean NOT NULL,
    dust_price bigint,
    deleted boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    mirrored_version bigint NOT NULL DEFAULT 0,
    mirror_error text,
    mirror_attempts integer NOT NULL DEFAULT 0,
    mirror_retry_at timestamptz,
    updated_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_dust_product PRIMARY KEY (product_id),
    CONSTRAINT ck_dust_product_price CHECK (dust_price > 0),
    CONSTRAINT ck_dust_product_dust_only_has_price CHECK (NOT dust_only OR dust_price IS NOT NULL)
);
