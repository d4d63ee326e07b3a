import type { RxDatabase } from 'rxdb'
import type { Memory } from './phone.ts'
import type { Counter } from './writes.ts'

/** A database made with `localDocuments: true`, with the plugin of that name. */
type Keeping = Pick<RxDatabase, 'getLocal' | 'insertLocal' | 'upsertLocal'>

/** The database's own local documents: lost together with the other documents or not at all, and one for all tabs. */
export function memoryIn(database: Keeping): Memory {
  return {
    async get(key) {
      const kept = await database.getLocal<{ text: string }>(`memory-${key}`)
      return kept?.get('text') ?? null
    },
    async set(key, text) {
      await database.upsertLocal(`memory-${key}`, { text })
    },
  }
}

/** Two tabs never draw one number: each is drawn in a write that only one of them can win. */
export function counterIn(database: Keeping): Counter {
  return {
    async next() {
      const kept = (await database.getLocal<Drawn>('counter')) ?? (await begun(database))
      let mine = 0
      // drawn within: writes that wait together are stored as one, whose result all of them would see
      await kept.incrementalModify((drawn: Drawn) => {
        mine = drawn.n + 1
        return { n: mine }
      })
      return mine
    },
  }
}

interface Drawn {
  n: number
}

async function begun(database: Keeping) {
  // another tab, or the write before this one, may have been quicker
  await database.insertLocal<Drawn>('counter', { n: 0 }).catch(() => undefined)
  const kept = await database.getLocal<Drawn>('counter')
  if (kept === null) throw new Error('the counter of writes cannot be kept')
  return kept
}
