// A payment provider of the live tests: it takes no money, and reports as authorized what its webhook is told.
class WebhookPayments {
  static identifier = "webhook"

  async initiatePayment({ data }) {
    return { id: `webhook_${Date.now()}`, status: "pending", data: data ?? {} }
  }

  async getWebhookActionAndData({ data }) {
    return { action: "authorized", data: { session_id: data.session_id, amount: data.amount } }
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
}

for (const name of ["updatePayment", "deletePayment", "capturePayment", "refundPayment", "cancelPayment"]) {
  WebhookPayments.prototype[name] = async ({ data }) => ({ data: data ?? {} })
}

module.exports = { services: [WebhookPayments] }
