// Drives the client library over stdin, as client.mjs drives a bare RxDB: a phone with everything that makes a whole client.

import { createInterface } from 'node:readline'
import { createRxDatabase } from 'rxdb/plugins/core'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { wrappedValidateAjvStorage } from 'rxdb/plugins/validate-ajv'

const { COLLECTIONS, Phone, Server, rxSchema, uuid7, markRead } = await import(process.env.WANGGE_SYNC)

let server
let database
let phone
let session = null
let offline = false
let filter = null // what is done to pages on their way, as a broken store would have it
const log = { standing: [], errors: [], wiped: 0, requests: [], pokes: 0 }
const kept = new Map()

async function through(address, request) {
  const path = new URL(address).pathname
  if (offline) throw new TypeError('no network')
  log.requests.push([path, request.headers['wangge-schema'], request.body?.length ?? 0])
  const answer = await fetch(address, request)
  if (!filter || !path.endsWith(`/${filter.collection}/pull`) || !answer.ok) return answer
  const page = await answer.json()
  page.documents = page.documents.flatMap((doc) => {
    if (filter.drop.includes(doc.id) || (filter.tombstones && doc._deleted)) return []
    return filter.stale.includes(doc.id) ? [{ ...doc, title: 'stale', v: doc.v - 1 }] : [doc]
  })
  return new Response(JSON.stringify(page), { status: 200 })
}

const collectionOf = (order) => database[order.collection]

async function open({ collections = COLLECTIONS, schema, pushBatch }) {
  const version = schema ?? server.schema
  database = await createRxDatabase({
    name: `phone-${uuid7()}`,
    storage: wrappedValidateAjvStorage({ storage: getRxStorageMemory() }),
    multiInstance: false,
  })
  const made = {}
  for (const name of collections) {
    const answer = await fetch(`${base}/sync/v1/schema/${name}?version=${version}`)
    made[name] = { schema: { ...rxSchema(await answer.json(), version), version: 0 } }
  }
  await database.addCollections(made)
  await join(collections, pushBatch)
  return {}
}

async function join(collections, pushBatch) {
  let count = 0
  phone = await Phone.open({
    server,
    memory: { get: async (key) => kept.get(key) ?? null, set: async (key, value) => void kept.set(key, value) },
    counter: { next: () => (count += 1) },
    collections: Object.fromEntries(collections.map((name) => [name, database[name]])),
    ...(pushBatch ? { pushBatch } : {}),
    pokes: { onPoke: () => (log.pokes += 1) },
    onEmptyYourself: () => (log.wiped += 1),
    onError: (name, error) => log.errors.push([name, error.parameters?.errors?.[0]?.message ?? error.message]),
  })
}

let base

const commands = {
  login: async ({ base: address, username, password, schema, device }) => {
    base = address
    server = new Server({
      base,
      ...(schema === undefined ? {} : { schema }),
      session: { read: () => session, write: (next) => (session = next) },
      fetch: through,
      onStanding: (standing) => log.standing.push(standing),
    })
    return server.signIn(username, password, device ?? { name: 'library' })
  },
  open,
  insert: async (order) => {
    const docs = order.documents.map((doc) => ({ id: uuid7(), ...doc }))
    for (const doc of docs) await collectionOf(order).insert(doc)
    return { ids: docs.map((doc) => doc.id) }
  },
  patch: async (order) => {
    await (await collectionOf(order).findOne(order.id).exec()).incrementalPatch(order.values)
    return {}
  },
  dump: async (order) => ({
    documents: (await collectionOf(order).find().exec()).map((doc) => doc.toMutableJSON()),
  }),
  sync: async () => (await phone.sync(), {}),
  verify: async (order) => ({ verdicts: await phone.verify(order.collections) }),
  unsent: async () => ({ unsent: await phone.unsent() }),
  hello: async () => phone.hello(),
  mark_read: async (order) => (await markRead(database.notices, order.id), {}),
  offline: async () => ((offline = true), {}),
  online: async () => ((offline = false), phone.wake(), {}),
  spoil_token: async () => ((session = { ...session, accessToken: 'spent' }), {}),
  filter: async (order) => ((filter = order.filter), {}),
  log: async () => log,
  until_poked: async (order) => {
    while (log.pokes < order.count) await new Promise((wake) => setTimeout(wake, 10))
    return {}
  },
}

const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)
const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  const order = JSON.parse(line)
  try {
    answer({ n: order.n, ok: true, ...(await commands[order.do](order)) })
  } catch (error) {
    answer({ n: order.n, ok: false, error: String(error?.stack ?? error), code: error?.code ?? null })
  }
})
lines.on('close', () => process.exit(0))
