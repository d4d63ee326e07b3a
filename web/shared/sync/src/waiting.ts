const FIRST_MS = 1_000
const LONGEST_MS = 5 * 60_000

/**
 * How long to wait before trying again, in ms: doubling from one second to five minutes, spread by `chance` (0 to 1) so
 * that a fleet does not march; never less than the server asked for.
 */
export function pause(attempt: number, chance: number, asked: number | null = null): number {
  const doubled = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 20))
  const spread = doubled * (0.5 + chance / 2)
  return Math.round(asked === null ? spread : asked + spread / 2)
}

/** The header Retry-After in ms: seconds or a date; null where there is none that can be read. */
export function retryAfter(header: string | null, now: number): number | null {
  if (header === null) return null
  if (/^\d+$/.test(header.trim())) return Number(header) * 1_000
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}

/** A sleep that can be cut short: by `wake`, and for good by `end`. */
export class Sleeper {
  private sleeping = new Set<() => void>()
  ended = false

  sleep(ms: number): Promise<void> {
    if (this.ended) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.sleeping.delete(done)
        resolve()
      }
      // a timer counts in 32 bits; beyond that it would fire at once
      const timer = setTimeout(done, Math.min(ms, 2 ** 31 - 1))
      this.sleeping.add(done)
    })
  }

  /** The network is back, somebody has signed in, the app was updated: try now. */
  wake(): void {
    for (const done of [...this.sleeping]) done()
  }

  end(): void {
    this.ended = true
    this.wake()
  }
}

/** Runs one thing after the other, whatever became of the one before: pushes of a device never overtake each other. */
export class Lane {
  private last: Promise<unknown> = Promise.resolve()

  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work, work)
    this.last = mine.catch(() => undefined)
    return mine
  }
}
