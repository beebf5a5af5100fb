import { Migration } from "@medusajs/framework/mikro-orm/migrations"

/** A new table only: it locks nothing that a running shop uses. */
export class Migration20261126095439 extends Migration {
  override async up(): Promise<void> {
    this.addSql(`
      create table if not exists "dust_outbox" (
        "id" text not null,
        "type" text not null,
        "data" jsonb not null,
        "occurred_at" timestamptz not null,
        "state" text check ("state" in ('waiting', 'delivered', 'rejected')) not null default 'waiting',
        "attempts" integer not null default 0,
        "next_attempt_at" timestamptz not null,
        "last_error" text null,
        "delivered_at" timestamptz null,
        "created_at" timestamptz not null default now(),
        "updated_at" timestamptz not null default now(),
        "deleted_at" timestamptz null,
        constraint "dust_outbox_pkey" primary key ("id")
      );
    `)
    this.addSql(`
      create index if not exists "IDX_dust_outbox_deleted_at" on "dust_outbox" ("deleted_at")
        where deleted_at is null;
    `)
    this.addSql(`
      create index if not exists "IDX_dust_outbox_due" on "dust_outbox" ("attempts", "occurred_at")
        where state = 'waiting' and deleted_at is null;
    `)
    this.addSql(`
      create index if not exists "IDX_dust_outbox_undelivered" on "dust_outbox" ("occurred_at")
        where state in ('waiting', 'rejected') and deleted_at is null;
    `)
    this.addSql(`
      create index if not exists "IDX_dust_outbox_delivered" on "dust_outbox" ("delivered_at")
        where state = 'delivered' and deleted_at is null;
    `)
  }

  override async down(): Promise<void> {
    this.addSql(`drop table if exists "dust_outbox" cascade;`)
  }
}
