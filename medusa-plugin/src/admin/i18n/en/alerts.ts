import type { DustAlert } from "../../../types"

type Texts = Record<DustAlert["code"], { message: string; action: string }>

const codes: Texts = {
  beat_stopped: {
    message: "The periodic jobs of Dust do not run. Points do not mature or expire.",
    action: "Ask your administrator to start `dust beat`, the broker, and a worker for the queue `sweeps`.",
  },
  events_wait: {
    message: "An event has been waiting for too long. Customers miss points.",
    action: "Ask your administrator to run `dust doctor`. Nothing is lost: the event is stored.",
  },
  events_failed: {
    message: "Failed events: {{count}}. Customers may miss points.",
    action: "The tab Events shows each cause. Fix the cause, then choose Retry.",
  },
  redemptions_wait: {
    message: "A customer has been waiting for a discount for too long.",
    action: "Ask your administrator to run `dust doctor`. Dust needs Medusa to create the promotion.",
  },
  reconcile_stopped: {
    message: "Dust does not ask Medusa for missed changes.",
    action: "Ask your administrator to run `dust doctor`. It checks Medusa, the API key and the workers.",
  },
  outgoing_webhooks_wait: {
    message: "An outgoing webhook has not been accepted for a long time. Customers get no messages about points.",
    action: "The tab Outgoing webhooks shows what your receiver answers.",
  },
  outgoing_webhooks_failed: {
    message: "Failed outgoing webhooks: {{count}}.",
    action: "The tab Outgoing webhooks shows why. Fix the receiver, then retry all failed ones.",
  },
  audit_failed: {
    message: "Errors that the audit of the points found: {{count}}.",
    action: "Ask your administrator to run `dust audit`. It names each customer, order or redemption.",
  },
  audit_stopped: {
    message: "The points have not been audited for a long time.",
    action: "Ask your administrator to look at the task `upkeep.audit` in Flower, and to run `dust audit`.",
  },
}

export const alerts = { since: "Since {{date}}", codes }
