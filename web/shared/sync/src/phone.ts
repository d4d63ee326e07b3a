import type { RxCollection } from 'rxdb'
import { replicateRxCollection } from 'rxdb/plugins/replication'
import type { RxReplicationState } from 'rxdb/plugins/replication'
import { Subject } from 'rxjs'
import { askToHeal, differing, digestOf, same } from './digest.ts'
import { lostSince, restoredTo } from './epoch.ts'
import { PageSize } from './pages.ts'
import { Pokes } from './pokes.ts'
import type { PokeOptions } from './pokes.ts'
import { Refused } from './server.ts'
import type { Server } from './server.ts'
import { Lane } from './waiting.ts'
import type { Checkpoint, CollectionName, Doc, HelloAnswer, Limits, Page, PushRow, Reconciled } from './wire.ts'
import { stampWrites } from './writes.ts'
import type { Counter } from './writes.ts'

/** Texts that outlive the app, in the same store as the documents: they are lost together or not at all. */
export interface Memory {
  get(key: string): Promise<string | null>
  set(key: string, value: string): Promise<void>
}

export interface PhoneOptions {
  server: Server
  memory: Memory
  counter: Counter
  collections: Partial<Record<CollectionName, RxCollection<Doc>>>
  app?: string
  pushBatch?: number
  pokes?: Partial<PokeOptions>
  /** Under which version of documents a row was written, where an update of the app left it unsent (EV4). */
  writtenUnder?: (name: CollectionName, doc: Doc) => number | undefined
  /** Everything was handed in and the device was stopped: close and remove the database now (PU13). */
  onEmptyYourself?: () => void
  onError?: (name: CollectionName, error: unknown) => void
}

export type Verdict = 'same' | 'healed' | 'later'

interface Shelf {
  name: CollectionName
  collection: RxCollection<Doc>
  replication: RxReplicationState<Doc, Checkpoint>
  resync: Subject<'RESYNC'>
  size: PageSize
  last: Checkpoint | null
  /** Taken in with the next page: what heals, and what is not to be held after a restore. */
  waiting: Doc[]
}

const LIMITS: Limits = { push_rows: 1_000, push_bytes: 4 * 1024 * 1024 }
const RECONCILE_MAX = 10_000

/** One person's database on one device, kept in step with the district. */
export class Phone {
  private readonly shelves = new Map<CollectionName, Shelf>()
  private readonly lane = new Lane()
  private readonly pokes: Pokes
  private limits = LIMITS
  private attaching: Promise<void> | null = null
  private epoch: number | null = null // of the pages that are taken in
  private reached: number | null = null // RC3: the one whose first whole plan is finished in every collection
  private finished = new Set<CollectionName>()

  private constructor(private readonly options: PhoneOptions) {
    this.pokes = new Pokes(options.server, {
      ...options.pokes,
      onPoke: (collections) => {
        for (const shelf of this.shelves.values()) {
          if (collections === null || collections.includes(shelf.name)) shelf.resync.next('RESYNC')
        }
        options.pokes?.onPoke?.(collections)
      },
    })
  }

  static async open(options: PhoneOptions): Promise<Phone> {
    const phone = new Phone(options)
    const kept = JSON.parse((await options.memory.get('epochs')) ?? '{}') as Kept
    phone.epoch = kept.epoch ?? null
    phone.reached = kept.reached ?? null
    phone.finished = new Set(kept.finished ?? [])
    for (const [name, collection] of Object.entries(options.collections)) {
      stampWrites(collection, options.counter)
      phone.shelves.set(name as CollectionName, phone.shelf(name as CollectionName, collection))
    }
    phone.pokes.start()
    return phone
  }

  /** Pull and push now, and resolve when nothing is under way; in a tab that had left this to another, too. */
  async sync(): Promise<void> {
    // begins it here, or pulls again where it has begun
    await Promise.all([...this.shelves.values()].map((shelf) => shelf.replication.start()))
    await Promise.all([...this.shelves.values()].map((shelf) => shelf.replication.awaitInSync()))
    await this.emptyIfStopped()
  }

  /** The network is back, the app is looked at again, somebody has signed in. */
  wake(): void {
    this.options.server.sleeper.wake()
    this.pokes.wake()
  }

  async stop(): Promise<void> {
    this.pokes.stop()
    this.options.server.sleeper.end()
    await Promise.all([...this.shelves.values()].map((shelf) => shelf.replication.cancel()))
  }

  /** The first call of a contact, and with `digests` the question whether all is as it should be. */
  async hello(digests: CollectionName[] = []): Promise<HelloAnswer> {
    const pending: Partial<Record<CollectionName, number>> = {}
    const cursors: Partial<Record<CollectionName, number>> = {}
    let from = this.options.server.schema
    for (const shelf of this.shelves.values()) {
      pending[shelf.name] = await this.pending(shelf)
      if (shelf.last) {
        cursors[shelf.name] = shelf.last.s
        from = Math.min(from, shelf.last.f ?? 1)
      }
    }
    const told = {
      app: this.options.app ?? 'unknown',
      schema: { from, to: this.options.server.schema },
      wall: this.options.server.now(),
      pending,
      cursors,
      ...(digests.length > 0 ? { digests } : {}),
    }
    const answer = await this.options.server.post<HelloAnswer>('/sync/v1/hello', told)
    this.limits = answer.limits
    return answer
  }

  /** What was written here and the server is not known to have. */
  async unsent(): Promise<number> {
    const counts = await Promise.all([...this.shelves.values()].map((shelf) => this.pending(shelf)))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /**
   * DG1–DG3: find out what the store lost or should not hold, and heal it. `later`: there is something to push or to pull
   * first, or the server has no time for this now.
   */
  async verify(names: CollectionName[] = [...this.shelves.keys()]): Promise<Partial<Record<CollectionName, Verdict>>> {
    await this.sync()
    let suspects = await this.suspects(names)
    if (suspects.differing.length > 0) {
      await this.sync() // it may have been what came meanwhile
      suspects = { ...(await this.suspects(suspects.differing)), later: suspects.later }
    }
    const verdicts: Partial<Record<CollectionName, Verdict>> = {}
    for (const name of names) verdicts[name] = suspects.later.includes(name) ? 'later' : 'same'
    for (const name of suspects.differing) {
      const shelf = this.shelves.get(name)
      if (shelf) verdicts[name] = await this.heal(shelf, suspects.epoch)
    }
    return verdicts
  }

  // --- one collection ------------------------------------------------------------------------------------------------

  private shelf(name: CollectionName, collection: RxCollection<Doc>): Shelf {
    const resync = new Subject<'RESYNC'>()
    const size = new PageSize(() => this.options.server.now())
    const replication = replicateRxCollection<Doc, Checkpoint>({
      replicationIdentifier: `wangge-${name}`, // never changed: another one pushes everything again without a base
      collection,
      deletedField: '_deleted',
      live: true,
      retryTime: 1_000, // waiting is done within the handlers
      pull: {
        batchSize: 1, // the server sizes the pages (PL12)
        handler: (checkpoint) => this.pull(shelf, checkpoint ?? null) as Promise<Page>,
        stream$: resync.asObservable(),
      },
      push: {
        batchSize: this.options.pushBatch ?? 200,
        // RxDB pushes side by side; an entry would overtake its case
        handler: (rows) => this.lane.run(() => this.push(name, rows as unknown as PushRow[])),
      },
    })
    replication.error$.subscribe((error) => this.options.onError?.(name, error))
    const shelf: Shelf = { name, collection, replication, resync, size, last: null, waiting: [] }
    return shelf
  }

  private async push(name: CollectionName, rows: PushRow[]): Promise<Doc[]> {
    const told = rows.map((row) => {
      const schema = this.options.writtenUnder?.(name, row.newDocumentState)
      return schema === undefined ? row : { ...row, schema }
    })
    const answers: Doc[] = []
    for (const batch of cut(told, this.limits)) answers.push(...(await this.pushBatch(name, batch)))
    if (this.options.server.wiping) this.emptySoon()
    return answers
  }

  private async pushBatch(name: CollectionName, rows: PushRow[]): Promise<Doc[]> {
    try {
      return await this.options.server.post<Doc[]>(`/sync/v1/${name}/push`, rows)
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 413 || rows.length < 2) throw error
      const middle = Math.ceil(rows.length / 2)
      const first = await this.pushBatch(name, rows.slice(0, middle))
      return [...first, ...(await this.pushBatch(name, rows.slice(middle)))]
    }
  }

  private async pull(shelf: Shelf, checkpoint: Checkpoint | null): Promise<Page> {
    if (this.options.server.wiping) {
      this.emptySoon()
      return this.nothing(checkpoint)
    }
    let page = await this.page(shelf, checkpoint)
    while (page !== null && this.epoch !== null && page.checkpoint.e !== this.epoch) {
      await this.attach() // RC2: nothing of this page is stored
      page = await this.page(shelf, checkpoint)
    }
    if (page === null) return this.nothing(checkpoint)
    await this.learned(shelf, page)
    const told = new Set(page.documents.map((doc) => doc.id))
    const documents = [...shelf.waiting.filter((doc) => !told.has(doc.id)), ...page.documents]
    shelf.waiting = []
    return { documents, checkpoint: page.checkpoint }
  }

  /** A page, or null where the device was stopped: it hands in, and is told nothing any more (PU13). */
  private async page(shelf: Shelf, checkpoint: Checkpoint | null): Promise<Page | null> {
    try {
      const asked = (lost: boolean) => ({ checkpoint, limit: 1, bytes: shelf.size.wish(lost) })
      const page = await this.options.server.post<Page>(`/sync/v1/${shelf.name}/pull`, asked)
      shelf.size.came(page.checkpoint.h !== null)
      return page
    } catch (error) {
      if (!this.options.server.wiping) throw error
      this.emptySoon()
      return null
    }
  }

  private nothing(checkpoint: Checkpoint | null): Page {
    return { documents: [], checkpoint: checkpoint ?? { e: 0, s: 0, h: null } }
  }

  private async learned(shelf: Shelf, page: Page): Promise<void> {
    shelf.last = page.checkpoint
    const before = JSON.stringify(this.kept())
    this.epoch ??= page.checkpoint.e
    if (page.checkpoint.h === null) this.finished.add(shelf.name)
    if (this.finished.size === this.shelves.size) this.reached = this.epoch
    if (JSON.stringify(this.kept()) !== before) await this.keep()
  }

  private kept(): Kept {
    return { epoch: this.epoch, reached: this.reached, finished: [...this.finished] }
  }

  private keep(): Promise<void> {
    return this.options.memory.set('epochs', JSON.stringify(this.kept()))
  }

  private async documents(shelf: Shelf): Promise<Doc[]> {
    return (await shelf.collection.find().exec()).map((doc) => doc.toMutableJSON() as Doc)
  }

  /** Documents whose last state here is not the one the replication knows of the server. */
  private async pending(shelf: Shelf): Promise<number> {
    const documents = await this.documents(shelf)
    // what the server has stands beside the documents, and is open once the replication has begun in this tab
    if (shelf.replication.metaInstance === undefined) await shelf.replication.start()
    const meta = shelf.replication.metaInstance
    if (meta === undefined || documents.length === 0) return documents.length
    const known = await meta.findDocumentsById(
      documents.map((doc) => `${doc.id}|0`),
      false,
    )
    const masters = new Map(known.map((row) => [row.itemId, row.docData as Doc | undefined]))
    return documents.filter((doc) => written(masters.get(doc.id)) !== written(doc)).length
  }

  // --- after a restore -----------------------------------------------------------------------------------------------

  /** RC2–RC4, once for all collections. */
  private attach(): Promise<void> {
    this.attaching ??= this.lane
      .run(() => this.attachTo())
      .finally(() => {
        this.attaching = null
      })
    return this.attaching
  }

  private async attachTo(): Promise<void> {
    const { epoch } = await this.hello()
    if (epoch.epoch === this.epoch) return
    const number = restoredTo(this.reached ?? this.epoch ?? 0, epoch)
    for (const shelf of this.shelves.values()) {
      const lost = lostSince(shelf.name, await this.documents(shelf), number)
      await this.push(
        shelf.name,
        lost.map((doc) => ({ newDocumentState: { ...doc, _deleted: false } })),
      )
    }
    for (const shelf of this.shelves.values()) {
      const held = new Map((await this.documents(shelf)).map((doc) => [doc.id, doc]))
      const ids = [...held.keys()]
      for (let start = 0; start < ids.length; start += RECONCILE_MAX) {
        const part = { epoch: epoch.epoch, ids: ids.slice(start, start + RECONCILE_MAX) }
        const { gone } = await this.options.server.post<Reconciled>(`/sync/v1/${shelf.name}/reconcile`, part)
        shelf.waiting.push(...gone.map((id) => tombstone(shelf, held.get(id) ?? { id, _deleted: true })))
      }
    }
    this.epoch = epoch.epoch
    this.finished = new Set()
    await this.keep()
  }

  // --- comparing and healing -----------------------------------------------------------------------------------------

  private async held(shelf: Shelf): Promise<Map<string, number>> {
    const held = new Map<string, number>()
    for (const doc of await this.documents(shelf)) if (doc.v !== undefined) held.set(doc.id, doc.v)
    return held
  }

  private async suspects(
    names: CollectionName[],
  ): Promise<{ epoch: number; differing: CollectionName[]; later: CollectionName[] }> {
    const answer = await this.hello(names)
    const differing: CollectionName[] = []
    const later: CollectionName[] = []
    for (const name of names) {
      const shelf = this.shelves.get(name)
      const told = answer.digests?.[name]
      if (!shelf || !told || (await this.pending(shelf)) > 0) later.push(name)
      else if (!same(told, await digestOf(await this.held(shelf)))) differing.push(name)
    }
    return { epoch: answer.epoch.epoch, differing, later }
  }

  private async heal(shelf: Shelf, epoch: number): Promise<Verdict> {
    const { server } = this.options
    const post = <T extends object>(path: string, body: object) => server.post<T>(path, body)
    const ranges = await differing(post, shelf.name, epoch, await this.held(shelf))
    for (let more = ranges.length > 0; more; ) {
      // no push in between: its answer would be newer than what heals
      more = await this.lane.run(async () => {
        const answer = await askToHeal(post, shelf.name, epoch, ranges, await this.held(shelf))
        shelf.waiting.push(...answer.documents)
        return answer.more
      })
      if (shelf.waiting.length === 0) break
      await this.sync()
    }
    return 'healed'
  }

  /** Once what is under way, the answer to the last push too, is in the store; nobody might ask again for a minute. */
  private emptySoon(): void {
    const settled = Promise.all([...this.shelves.values()].map((shelf) => shelf.replication.awaitInSync()))
    // a store that is closed by then has been emptied, or is when it is opened again
    settled.then(() => this.emptyIfStopped()).catch(() => undefined)
  }

  private async emptyIfStopped(): Promise<void> {
    if (this.options.server.wiping && (await this.unsent()) === 0) this.options.onEmptyYourself?.()
  }
}

interface Kept {
  epoch?: number | null
  reached?: number | null
  finished?: CollectionName[]
}

/** What changes with each write of a person: the write id, and for a notice that it was read. */
function written(doc: Doc | undefined): string {
  return JSON.stringify(doc && [doc.w ?? null, doc['read_at'] ?? null])
}

/** A deletion as the store takes it: the fields it requires, and nothing else of the document. */
function tombstone(shelf: Shelf, doc: Doc): Doc {
  const required = (shelf.collection.schema.jsonSchema.required ?? []) as string[]
  const kept = Object.fromEntries(required.filter((name) => name in doc).map((name) => [name, doc[name]]))
  return { ...kept, id: doc.id, _deleted: true }
}

/** Rows in batches that keep the limits, as far as one row does. */
export function cut(rows: PushRow[], limits: Limits): PushRow[][] {
  const batches: PushRow[][] = []
  let batch: PushRow[] = []
  let size = 2
  for (const row of rows) {
    const bytes = new TextEncoder().encode(JSON.stringify(row)).length + 1
    if (batch.length > 0 && (batch.length >= limits.push_rows || size + bytes > limits.push_bytes)) {
      batches.push(batch)
      batch = []
      size = 2
    }
    batch.push(row)
    size += bytes
  }
  return batch.length > 0 ? [...batches, batch] : batches
}
