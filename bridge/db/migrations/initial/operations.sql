-- Metrics, heartbeats of periodic jobs, retried tasks, and the test clock.

CREATE TABLE metric_total (
    name text NOT NULL,
    labels text NOT NULL,
    value double precision NOT NULL,
    CONSTRAINT pk_metric_total PRIMARY KEY (name, labels)
) WITH (fillfactor = 50);

CREATE TABLE last_run (
    name text NOT NULL,
    at timestamptz NOT NULL,
    result jsonb NOT NULL,
    CONSTRAINT pk_last_run PRIMARY KEY (name)
);

CREATE TABLE task_retry (
    task_id text NOT NULL,
    task_name text NOT NULL,
    new_task_id text NOT NULL,
    operator text NOT NULL,
    asked_at timestamptz NOT NULL,
    sent_at timestamptz,
    CONSTRAINT pk_task_retry PRIMARY KEY (task_id),
    CONSTRAINT uq_task_retry_new_task_id UNIQUE (new_task_id)
);

CREATE TABLE test_clock (
    id integer NOT NULL,
    offset_seconds double precision NOT NULL,
    CONSTRAINT pk_test_clock PRIMARY KEY (id),
    CONSTRAINT ck_test_clock_one_row CHECK (id = 1)
);
