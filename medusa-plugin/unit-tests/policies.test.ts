import { describe, expect, it } from "vitest"
import middlewares from "../src/api/middlewares"
import { dustPolicies } from "../src/policies/dust"

const guarded = middlewares.routes!.filter(({ matcher }) => matcher === "/admin/dust/*")

describe("the plugin's routes for the dashboard", () => {
  it("ask for a policy that is defined, whatever the method", () => {
    const defined = dustPolicies.policies.map(({ resource, operation }) => ({ resource, operation }))
    const methods = guarded.flatMap((route) => route.methods)
    expect(methods.sort()).toEqual(["DELETE", "GET", "POST", "PUT"])
    for (const { policies } of guarded) expect(defined).toContainEqual((policies as object[])[0])
  })

  it("may be read without the right to change anything", () => {
    const [read] = guarded.filter(({ methods }) => methods?.includes("GET"))
    expect(read.methods).toEqual(["GET"])
    expect(read.policies).toEqual([{ resource: "dust", operation: "read" }])
  })
})
