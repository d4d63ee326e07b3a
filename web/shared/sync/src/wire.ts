// What travels, as docs/sync-protocol.md tells it.

export const COLLECTIONS = ['cases', 'entries', 'visits', 'households', 'tasks', 'files', 'notices', 'cells'] as const
export type CollectionName = (typeof COLLECTIONS)[number]

/** The version of documents this library speaks (EV1). */
export const SCHEMA = 2

export interface Doc {
  id: string
  v?: number
  w?: string
  _deleted: boolean
  [field: string]: unknown
}

/** Opaque but for what the glue has to know; it is stored and sent back as it came (PL1). */
export interface Checkpoint {
  e: number
  s: number
  h: number | null
  f?: number
  [key: string]: unknown
}

export interface Page {
  documents: Doc[]
  checkpoint: Checkpoint
}

export interface PushRow {
  newDocumentState: Doc
  assumedMasterState?: Doc
  /** The version the row was written under, where that is not the app's of today (EV4). */
  schema?: number
}

export interface Digest {
  count: number
  /** Sixteen hexadecimal digits: a number of JavaScript has only 53 bits. */
  sum: string
}

export interface Limits {
  push_rows: number
  push_bytes: number
}

export interface HelloAnswer {
  head: number
  epoch: { epoch: number; restored: { epoch: number; restored_to: number }[] }
  dirty: CollectionName[]
  limits: Limits
  minimum: { protocol: number; schema: number }
  schema: { spoken: number; current: number }
  quarantine: number
  clock_offset_ms: number | null
  /** Absent: not asked for. Null: not now (DG4); null for one collection: it holds too much. */
  digests?: Partial<Record<CollectionName, Digest | null>> | null
}

export interface Reconciled {
  epoch: number
  gone: string[]
}

export interface Healed {
  epoch: number
  documents: Doc[]
  more: boolean
}

export interface Problem {
  code?: string
  wipe?: boolean
}
