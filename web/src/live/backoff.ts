/** Milliseconds until the next attempt to open the stream: 1, 2, 4 ... 30 seconds, spread so that phones do not march. */
export function backoff(attempt: number, chance: number): number {
  const base = Math.min(30_000, 1000 * 2 ** Math.min(attempt, 10))
  return Math.round(base * (0.75 + chance / 2))
}

/** Milliseconds between polls: often while no stream pokes, rarely as a safeguard while one does. */
export function pollEvery(streaming: boolean): number {
  return streaming ? 60_000 : 15_000
}
