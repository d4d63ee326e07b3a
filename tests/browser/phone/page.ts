// The store of a phone in a real browser: RxDB on IndexedDB, kept in step by the library. Driven through `window.phone`.

import { addRxPlugin, createRxDatabase } from 'rxdb/plugins/core'
import type { RxDatabase, RxJsonSchema } from 'rxdb/plugins/core'
import { RxDBLocalDocumentsPlugin } from 'rxdb/plugins/local-documents'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { wrappedValidateAjvStorage } from 'rxdb/plugins/validate-ajv'
import { counterIn, memoryIn, Phone, rxSchema, Server, uuid7 } from '../../../web/shared/sync/src/index.ts'
import type { CollectionName, Doc, Session } from '../../../web/shared/sync/src/index.ts'
import { Sleeper } from '../../../web/shared/sync/src/waiting.ts'

addRxPlugin(RxDBLocalDocumentsPlugin)

const SESSION = 'session'
const NAP_MS = 20
const NEVER_MS = 24 * 3_600_000
const PATIENCE_MS = 180_000 // until a phone that does not answer counts as hanging

interface Asked {
  path: string
  bytes: number | null
  rows: number | null
}

/** As the library waits, but never for long: how long it would have waited is proved elsewhere. */
class Nap extends Sleeper {
  override sleep(ms: number): Promise<void> {
    return super.sleep(Math.min(ms, NAP_MS))
  }
}

/** Answers that have come and are not handed on: whatever happens now happens while they are under way. */
class Line {
  private kind: 'push' | 'pull' | null = null
  private gates: (() => void)[] = []
  private told: (() => void)[] = []

  hold(kind: 'push' | 'pull' | null): void {
    this.kind = kind
    if (kind === null) for (const open of this.gates.splice(0)) open()
  }

  async held(): Promise<void> {
    if (this.gates.length === 0) await new Promise<void>((resolve) => this.told.push(resolve))
  }

  async pass(address: string, ask: () => Promise<Response>): Promise<Response> {
    const answer = await ask()
    if (this.kind !== null && address.endsWith(`/cases/${this.kind}`)) {
      for (const tell of this.told.splice(0)) tell()
      await new Promise<void>((open) => this.gates.push(open))
    }
    return answer
  }
}

const line = new Line()
const log = { asked: [] as Asked[], standing: [] as string[], errors: [] as string[] }

const server = new Server({
  base: '',
  sleeper: new Nap(),
  session: {
    read: () => JSON.parse(localStorage.getItem(SESSION) ?? 'null') as Session | null,
    write: (session) => localStorage.setItem(SESSION, JSON.stringify(session)),
  },
  onStanding: (standing) => log.standing.push(standing),
  fetch: (address, request) => {
    const body = JSON.parse(typeof request?.body === 'string' ? request.body : 'null') as { bytes?: number } | unknown[]
    const rows = Array.isArray(body)
    log.asked.push({
      path: String(address).replace(/\?.*/, ''),
      bytes: rows ? null : (body?.bytes ?? null),
      rows: rows ? body.length : null,
    })
    return line.pass(String(address), () => fetch(address, request))
  },
})

let tellEmptied: () => void
let database: RxDatabase
let phone: Phone

/** The published schema. It is kept, as an app brings its own: a phone is opened in the hills, too. */
async function schemaOf(name: string): Promise<RxJsonSchema<Doc>> {
  const key = `schema-${name}`
  let text = localStorage.getItem(key)
  if (text === null) {
    text = await (await fetch(`/sync/v1/schema/${name}?version=${server.schema}`)).text()
    localStorage.setItem(key, text)
  }
  return { ...rxSchema(JSON.parse(text) as Parameters<typeof rxSchema>[0], server.schema), version: 0 }
}

function collection(name: CollectionName) {
  const found = database.collections[name]
  if (found === undefined) throw new Error(`${name} is not open`)
  return found
}

async function written(name: CollectionName, id: string) {
  const found = await collection(name).findOne(id).exec()
  if (found === null) throw new Error(`no document ${id} here`)
  return found
}

let emptying: Promise<void> | null = null
const emptied = new Promise<void>((resolve) => {
  tellEmptied = resolve
})

/** What an app does that was told to empty itself. */
function empty(): Promise<void> {
  emptying ??= (async () => {
    await phone.stop()
    await database.remove()
    tellEmptied()
  })()
  return emptying
}

const commands = {
  async signIn(username: string, password: string) {
    return (await server.signIn(username, password, { name: 'browser' })).deviceId
  },

  async open(names: CollectionName[], pushBatch?: number) {
    database = await createRxDatabase({
      name: 'phone',
      storage: wrappedValidateAjvStorage({ storage: getRxStorageDexie() }),
      localDocuments: true,
    })
    const schemas = await Promise.all(names.map(async (name) => [name, { schema: await schemaOf(name) }] as const))
    await database.addCollections(Object.fromEntries(schemas))
    phone = await Phone.open({
      server,
      memory: memoryIn(database),
      counter: counterIn(database),
      collections: Object.fromEntries(names.map((name) => [name, collection(name)])),
      pokes: { pollMs: NEVER_MS }, // what happens here is not mended by a poll a minute later
      onEmptyYourself: () => void empty(),
      onError: (name, error) => log.errors.push(`${name}: ${String(error)}`),
      ...(pushBatch === undefined ? {} : { pushBatch }),
    })
    window.addEventListener('online', () => phone.wake())
  },

  async insert(name: CollectionName, documents: object[]) {
    const ids: string[] = []
    for (const document of documents) {
      const made = await collection(name).insert({ id: uuid7(), ...document })
      ids.push(made.get('id') as string)
    }
    return ids
  },

  async patch(name: CollectionName, id: string, values: object) {
    await (await written(name, id)).incrementalPatch(values)
  },

  async documents(name: CollectionName) {
    return (await collection(name).find().exec()).map((doc) => doc.toMutableJSON() as Doc)
  },

  async documents_of(name: CollectionName, ids: string[]) {
    return [...(await collection(name).findByIds(ids).exec()).values()].map((doc) => doc.toMutableJSON() as Doc)
  },

  count: (name: CollectionName) => collection(name).count().exec(),
  sync: () => phone.sync(),
  verify: () => phone.verify(),
  unsent: () => phone.unsent(),
  leads: () => Promise.resolve(database.isLeader()),
  log: () => Promise.resolve(log),
  emptied: () => emptied,

  /** The token has run out: the server refuses it. */
  async spend_token() {
    localStorage.setItem(SESSION, JSON.stringify({ ...server.session, accessToken: 'spent' }))
  },

  hold: (kind: 'push' | 'pull' | null) => Promise.resolve(line.hold(kind)),
  held: () => line.held(),

  /** Everything that lies in this browser's databases under this address, whoever put it there. */
  async bones() {
    const found: unknown[] = []
    for (const { name } of await indexedDB.databases()) {
      const opened = await done(indexedDB.open(name ?? ''))
      for (const store of opened.objectStoreNames) {
        found.push(await done(opened.transaction(store).objectStore(store).getAll()))
      }
      opened.close()
    }
    return JSON.stringify(found)
  },
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(new Error(String(request.error)))
  })
}

type Command = (...values: unknown[]) => Promise<unknown>

Object.assign(window, {
  phone: (command: keyof typeof commands, ...values: unknown[]) =>
    Promise.race([
      (commands[command] as Command)(...values),
      new Promise((_, reject) => {
        setTimeout(() => reject(new Error(`${command}: the phone does not answer`)), PATIENCE_MS)
      }),
    ]),
})
