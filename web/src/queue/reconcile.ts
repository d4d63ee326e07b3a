import type { Escalation } from '../api/types'

export interface Reconciled {
  rows: Escalation[]
  /** Rows the server has that are not shown yet, or not where they belong now: the bar's figure. */
  fresh: number
  /** Ids still shown that the server no longer has. */
  gone: string[]
}

/**
 * Bring what is shown up to date without moving anything under the reader's eyes: known rows change in place, new
 * ones wait behind a bar, rows that left stay, marked, until the reader lets the list move.
 */
export function reconcile(
  shown: readonly Escalation[],
  fetched: readonly Escalation[],
  placed: ReadonlyMap<string, Escalation['group']> = new Map(),
): Reconciled {
  const now = new Map(fetched.map((item) => [item.id, item]))
  const known = new Map(shown.map((item) => [item.id, placed.get(item.id) ?? item.group]))
  return {
    // a row keeps its group while it is read: the state is shown in words, the place changes with the bar
    rows: shown.map((item) => now.get(item.id) ?? item),
    fresh: fetched.filter((item) => known.get(item.id) !== item.group).length,
    gone: shown.filter((item) => !now.has(item.id)).map((item) => item.id),
  }
}
