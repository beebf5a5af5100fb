const FIRST_WAIT_SECONDS = 1
const MAX_WAIT_SECONDS = 60

/**
 * 1, 2, 4, 8, 16, 32, then always 60 seconds, each shortened by up to a half at random, so that several processes do not
 * try at the same moment.
 */
export function backoff(attempts: number, random: () => number = Math.random): number {
  return Math.min(FIRST_WAIT_SECONDS * 2 ** (attempts - 1), MAX_WAIT_SECONDS) * (1 - random() / 2)
}
