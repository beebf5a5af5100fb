// Payment providers of the live tests. They take no money.
class Payments {
  async initiatePayment({ data }) {
    return { id: `payment_${Date.now()}`, status: "pending", data: data ?? {} }
  }

  async authorizePayment({ data }) {
    return { status: "authorized", data }
  }

  async getPaymentStatus({ data }) {
    return { status: "authorized", data }
  }

  async retrievePayment({ data }) {
    return { data }
  }

  async getWebhookActionAndData() {
    return { action: "not_supported" }
  }
}

for (const name of ["updatePayment", "deletePayment", "capturePayment", "refundPayment", "cancelPayment"]) {
  Payments.prototype[name] = async ({ data }) => ({ data: data ?? {} })
}

// Reports the sessions as authorized that its webhook names.
class WebhookPayments extends Payments {
  static identifier = "webhook"

  async getWebhookActionAndData({ data }) {
    return { action: "authorized", data: { session_id: data.session_id, amount: data.amount } }
  }
}

// Declines after a while, as a bank does that has asked the customer.
class DecliningPayments extends Payments {
  static identifier = "declining"

  async authorizePayment({ data }) {
    await new Promise((resolve) => setTimeout(resolve, data.decline_after_ms))
    return { status: "error", data }
  }
}

module.exports = { services: [WebhookPayments, DecliningPayments] }
