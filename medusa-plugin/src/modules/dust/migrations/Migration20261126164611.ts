import { Migration } from "@medusajs/framework/mikro-orm/migrations"

/** A new table only: it locks nothing that a running shop uses. */
export class Migration20261126164611 extends Migration {
  override async up(): Promise<void> {
    this.addSql(`
      create table if not exists "dust_alert" (
        "code" text not null,
        "message" text not null,
        "notified_at" timestamptz null,
        "created_at" timestamptz not null default now(),
        "updated_at" timestamptz not null default now(),
        "deleted_at" timestamptz null,
        constraint "dust_alert_pkey" primary key ("code")
      );
    `)
    this.addSql(`
      create index if not exists "IDX_dust_alert_deleted_at" on "dust_alert" ("deleted_at")
        where deleted_at is null;
    `)
  }

  override async down(): Promise<void> {
    this.addSql(`drop table if exists "dust_alert" cascade;`)
  }
}
