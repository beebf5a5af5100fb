import { Migration } from "@medusajs/framework/mikro-orm/migrations"

/** Indexes for what the outbox is asked. The table has the events of a week, so building them takes seconds at most. */
export class Migration20261126100000 extends Migration {
  override async up(): Promise<void> {
    this.addSql(`drop index if exists "IDX_dust_outbox_waiting";`)
    this.addSql(`
      create index if not exists "IDX_dust_outbox_due" on "dust_outbox" ("attempts", "occurred_at")
        where state = 'waiting';
    `)
    this.addSql(`
      create index if not exists "IDX_dust_outbox_undelivered" on "dust_outbox" ("occurred_at")
        where state in ('waiting', 'rejected');
    `)
    this.addSql(`
      create index if not exists "IDX_dust_outbox_delivered" on "dust_outbox" ("delivered_at")
        where state = 'delivered';
    `)
  }

  override async down(): Promise<void> {
    this.addSql(`drop index if exists "IDX_dust_outbox_due";`)
    this.addSql(`drop index if exists "IDX_dust_outbox_undelivered";`)
    this.addSql(`drop index if exists "IDX_dust_outbox_delivered";`)
    this.addSql(`
      create index if not exists "IDX_dust_outbox_waiting" on "dust_outbox" ("next_attempt_at") where state = 'waiting';
    `)
  }
}
