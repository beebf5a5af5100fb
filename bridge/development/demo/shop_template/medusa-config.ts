import { defineConfig } from "@medusajs/framework/utils"

const { env } = process

/** With a Redis everything that has state outside Postgres lives there, as in production; without one, in this process. */
const redisModules = (redisUrl: string) => [
  { resolve: "@medusajs/medusa/event-bus-redis", options: { redisUrl } },
  { resolve: "@medusajs/medusa/cache-redis", options: { redisUrl } },
  { resolve: "@medusajs/medusa/workflow-engine-redis", options: { redis: { redisUrl } } },
  {
    resolve: "@medusajs/medusa/locking",
    options: {
      providers: [
        { resolve: "@medusajs/medusa/locking-redis", id: "locking-redis", is_default: true, options: { redisUrl } },
      ],
    },
  },
]

/** A payment provider of the tests, by the path of its file. */
const paymentModules = (resolve: string) => [
  {
    resolve: "@medusajs/medusa/payment",
    options: { providers: [{ resolve, id: "test" }], webhook_delay: 100 },
  },
]

/** Medusa's own provider writes each e-mail to the log instead of sending it. */
const emailModules = [
  {
    resolve: "@medusajs/medusa/notification",
    options: {
      providers: [
        { resolve: "@medusajs/medusa/notification-local", id: "local", options: { channels: ["feed", "email"] } },
      ],
    },
  },
]

module.exports = defineConfig({
  projectConfig: {
    databaseUrl: env.DATABASE_URL,
    databaseDriverOptions: { connection: { ssl: false } },
    redisUrl: env.REDIS_URL,
    // This shop answers over plain HTTP on loopback, where a browser would not send a secure cookie back.
    cookieOptions: { secure: false, sameSite: "lax" },
    http: {
      storeCors: env.STORE_CORS ?? "",
      adminCors: env.ADMIN_CORS ?? "",
      authCors: env.AUTH_CORS ?? "",
      jwtSecret: env.JWT_SECRET,
      cookieSecret: env.COOKIE_SECRET,
    },
  },
  admin: { disable: env.SHOP_DASHBOARD !== "true" },
  plugins: [
    {
      resolve: "medusa-plugin-dust",
      options: {
        url: env.DUST_URL,
        secret: env.DUST_WEBHOOK_SECRET,
        token: env.DUST_ADMIN_TOKEN,
        alertEmail: env.SHOP_ALERT_EMAIL,
      },
    },
  ],
  modules: [
    ...(env.REDIS_URL ? redisModules(env.REDIS_URL) : []),
    ...(env.SHOP_ALERT_EMAIL ? emailModules : []),
    ...(env.SHOP_PAYMENT_PROVIDER ? paymentModules(env.SHOP_PAYMENT_PROVIDER) : []),
  ],
})
