import type { CollectionName, Digest, Healed } from './wire.ts'

export type Held = ReadonlyMap<string, number>
type Post = <T extends object>(path: string, body: object) => Promise<T>

const EMPTY: Digest = { count: 0, sum: '0'.repeat(16) }
/** So few documents are named rather than divided further. */
const FEW = 500
const DEEPEST = 4
const RANGES_MAX = 256

/** DG1: what one document adds to a sum. */
async function term(id: string, v: number): Promise<bigint> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`${id}:${v}`))
  return new DataView(hash).getBigUint64(0)
}

export async function digestOf(held: Held): Promise<Digest> {
  const terms = await Promise.all([...held].map(([id, v]) => term(id, v)))
  const sum = terms.reduce((total, one) => BigInt.asUintN(64, total + one), BigInt(0))
  return { count: held.size, sum: sum.toString(16).padStart(16, '0') }
}

export function same(one: Digest | undefined, other: Digest | undefined): boolean {
  const [a, b] = [one ?? EMPTY, other ?? EMPTY]
  return a.count === b.count && a.sum === b.sum
}

export function within(held: Held, ranges: readonly string[]): Map<string, number> {
  return new Map([...held].filter(([id]) => ranges.some((ending) => id.endsWith(ending))))
}

/** DG2: the ranges in which the server holds something else than `held`, as small as is worth it. */
export async function differing(
  post: Post,
  collection: CollectionName,
  epoch: number,
  held: Held,
): Promise<string[]> {
  let ranges = ['']
  for (let depth = 0; depth < DEEPEST && ranges.length > 0; depth += 1) {
    if (depth > 0 && within(held, ranges).size <= FEW) break
    const told = await post<{ ranges: Record<string, Digest> }>(`/sync/v1/${collection}/digest`, { epoch, ranges })
    const here = new Map<string, Map<string, number>>()
    for (const [id, v] of within(held, ranges)) {
      const asked = ranges.find((ending) => id.endsWith(ending)) ?? ''
      const part = id.slice(-asked.length - 1)
      here.set(part, (here.get(part) ?? new Map<string, number>()).set(id, v))
    }
    const parts = new Set([...here.keys(), ...Object.keys(told.ranges)])
    const apart: string[] = []
    for (const part of [...parts].sort()) {
      if (!same(told.ranges[part], await digestOf(here.get(part) ?? new Map()))) apart.push(part)
    }
    // more than can be asked about at once: the wider ranges do as well
    if (apart.length > RANGES_MAX) break
    ranges = apart
  }
  return ranges
}

/** DG3: what is missing, stale or not to be held in these ranges. */
export function askToHeal(
  post: Post,
  collection: CollectionName,
  epoch: number,
  ranges: string[],
  held: Held,
): Promise<Healed> {
  const body = { epoch, ranges, held: Object.fromEntries(within(held, ranges)) }
  return post<Healed>(`/sync/v1/${collection}/reconcile`, body)
}
