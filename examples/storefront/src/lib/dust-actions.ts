"use server"

import { dust } from "./dust"

// What the browser may ask of Dust. The arguments come from the browser; Dust decides by the shopper's token.

type Dust = typeof dust

export async function balance() {
  return dust.balance()
}

export async function programme() {
  return dust.programme()
}

export async function forecast(...args: Parameters<Dust["forecast"]>) {
  return dust.forecast(...args)
}

export async function quote() {
  return dust.quote()
}

export async function redeem(...args: Parameters<Dust["redeem"]>) {
  return dust.redeem(...args)
}

export async function release(id: string) {
  return dust.release(id)
}

export async function redemptions(...args: Parameters<Dust["redemptions"]>) {
  return dust.redemptions(...args)
}

export async function transactions(...args: Parameters<Dust["transactions"]>) {
  return dust.transactions(...args)
}

export async function order(id: string) {
  return dust.order(id)
}

export async function referral() {
  return dust.referral()
}

export async function useReferral(code: string) {
  return dust.useReferral(code)
}
