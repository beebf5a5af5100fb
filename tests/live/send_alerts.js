// `medusa exec send_alerts.js`: run the job that Medusa runs every five minutes.
exports.default = async function sendAlertsNow({ container }) {
  const job = require.resolve("medusa-plugin-dust/jobs/send-alerts", { paths: [process.cwd()] })
  await require(job).default(container)
}
