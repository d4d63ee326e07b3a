import type { CollectionName, Doc, HelloAnswer } from './wire.ts'

/** What a phone may push; the others are only read. */
export const PUSHED: readonly CollectionName[] = ['cases', 'entries', 'visits', 'files', 'households']

/**
 * RC3: the number above which the server may not have what this phone holds: the lowest one restored to since `own`, the
 * epoch whose first whole plan the phone has finished. 0, which is everything, where the server does not know that epoch.
 */
export function restoredTo(own: number, told: HelloAnswer['epoch']): number {
  const known = own === 1 || told.restored.some((row) => row.epoch === own)
  const since = told.restored.filter((row) => row.epoch > own).map((row) => row.restored_to)
  return known && since.length > 0 ? Math.min(...since) : 0
}

/** Whether a document is held in full: whoever saw less of it does not hand it in. */
export function inFull(collection: CollectionName, doc: Doc): boolean {
  if (collection === 'cases') return 'captured_at' in doc && !('parties_masked' in doc)
  return collection !== 'entries' || 'type' in doc
}

/** RC3: what is handed in again, without a base. */
export function lostSince(collection: CollectionName, documents: readonly Doc[], number: number): Doc[] {
  if (!PUSHED.includes(collection)) return []
  return documents.filter((doc) => !doc._deleted && (doc.v ?? 0) > number && inFull(collection, doc))
}
