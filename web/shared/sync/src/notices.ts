import type { RxCollection } from 'rxdb'
import { map } from 'rxjs'
import type { Observable } from 'rxjs'
import type { Doc } from './wire.ts'

/** What this person was told and has not read, the newest first. */
export function unread(notices: RxCollection<Doc>): Observable<Doc[]> {
  return notices.find().$.pipe(
    map((found) =>
      found
        .map((notice) => notice.toMutableJSON() as Doc)
        .filter((notice) => (notice['read_at'] ?? null) === null)
        .sort((one, other) => Number(other['at'] ?? 0) - Number(one['at'] ?? 0)),
    ),
  )
}

/** Says that a notice was read; the server and this person's other devices learn of it. */
export async function markRead(notices: RxCollection<Doc>, id: string, now = Date.now()): Promise<void> {
  const notice = await notices.findOne(id).exec()
  if (notice !== null && (notice.get('read_at') ?? null) === null) await notice.incrementalPatch({ read_at: now })
}
