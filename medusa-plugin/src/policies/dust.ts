import { definePolicies, PolicyOperation } from "@medusajs/framework/utils"

const resource = "dust"

/** Who may see points, and who may change anything about them. Medusa checks these with its feature flag `rbac` only. */
export const dustPolicies = definePolicies([
  { name: "ReadDust", resource, operation: PolicyOperation.read, description: "See points, members, events, rules and reports of Dust" },
  { name: "UpdateDust", resource, operation: PolicyOperation.update, description: "Change points, rules and prices of Dust" },
])
