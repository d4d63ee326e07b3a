// Drives an unmodified RxDB over stdin: one JSON command a line, one JSON answer a line, in the order of the commands'
// ends. Commands run side by side, so a scenario can hold one call while it does something else.

import { createInterface } from 'node:readline'
import { randomBytes } from 'node:crypto'
import { createRxDatabase } from 'rxdb/plugins/core'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { wrappedValidateAjvStorage } from 'rxdb/plugins/validate-ajv'
import { replicateRxCollection } from 'rxdb/plugins/replication'
import { Subject } from 'rxjs'
import { Line } from './faults.mjs'
import { District } from './http.mjs'
import { Toy } from './toy.mjs'

const LOOSE = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 100 } },
  required: ['id'],
}

let database
let district
let counter = 0
const opened = new Map() // name -> { collection, replication, line, toy, stream, errors }

function uuid7() {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Date.now(), 0, 6)
  bytes[6] = (bytes[6] & 0x0f) | 0x70
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

async function open({ collection: name, remote, schema, validate, batch, pushBatch, retry, hook, replicate = true }) {
  const storage = validate ? wrappedValidateAjvStorage({ storage: getRxStorageMemory() }) : getRxStorageMemory()
  database ??= await createRxDatabase({ name: `phone-${uuid7()}`, storage, multiInstance: false })
  const published = remote === 'http' && schema === 'published' ? await district.schema(name) : null
  await database.addCollections({ [name]: { schema: published ?? schema ?? LOOSE } })
  const collection = database[name]
  if (hook !== false) {
    const write = (data) => {
      counter += 1
      data.w = `${counter}:${uuid7()}`
    }
    collection.preInsert(write, false)
    collection.preSave(write, false)
  }
  const phone = { collection, line: new Line(), toy: new Toy(), stream: new Subject(), errors: [] }
  opened.set(name, phone)
  if (replicate) start(name, phone, { remote, batch, pushBatch, retry })
  return {}
}

function start(name, phone, { remote, batch = 1, pushBatch = 100, retry = 20 }) {
  const pull = remote === 'http' ? (c, n) => district.pull(name, c, n) : (c, n) => phone.toy.pull(c, n)
  const push = remote === 'http' ? (rows) => district.push(name, rows) : (rows) => phone.toy.push(rows)
  const copy = (value) => structuredClone(value)
  phone.replication = replicateRxCollection({
    replicationIdentifier: `district-${name}`,
    collection: phone.collection,
    live: true,
    retryTime: retry,
    waitForLeadership: false,
    pull: {
      batchSize: batch,
      handler: (checkpoint, size) =>
        phone.line.call('pull', checkpoint ?? null, async () => copy(await pull(checkpoint, size))),
      stream$: phone.stream.asObservable(),
    },
    push: {
      batchSize: pushBatch,
      handler: (rows) =>
        phone.line.call('push', rows.map((row) => row.newDocumentState.id), async () => copy(await push(copy(rows)))),
    },
  })
  phone.replication.error$.subscribe((error) => {
    const inner = error.parameters?.errors?.[0]?.message ?? error.parameters?.writeError?.validationErrors?.[0]?.message
    phone.errors.push([error.code ?? error.name, inner ?? error.message.slice(0, 200)])
  })
}

const at = ({ collection }) => opened.get(collection)
const found = async (order) => {
  const doc = await at(order).collection.findOne(order.id).exec()
  if (!doc) throw new Error(`no document ${order.id} here`)
  return doc
}

const commands = {
  login: async ({ base, username, password, device }) => {
    district = new District(base)
    const { user, device_id } = await district.login(username, password, device)
    return { user, device_id }
  },
  open,
  insert: async (order) => {
    const docs = (order.documents ?? [order.document ?? {}]).map((doc) => ({ id: uuid7(), ...doc }))
    for (const doc of docs) await at(order).collection.insert(doc)
    return { ids: docs.map((doc) => doc.id) }
  },
  insert_at_once: async (order) => {
    const docs = order.documents.map((doc) => ({ id: uuid7(), ...doc }))
    await at(order).collection.bulkInsert(docs)
    return { ids: docs.map((doc) => doc.id) }
  },
  patch: async (order) => {
    await (await found(order)).incrementalPatch(order.values)
    return {}
  },
  remove: async (order) => {
    await (await found(order)).incrementalRemove()
    return {}
  },
  // what the application sees
  dump: async (order) => ({
    documents: (await at(order).collection.find().exec()).map((doc) => doc.toMutableJSON()),
  }),
  // what lies in storage, the replication's own copies of the master included
  bones: async (order) => {
    const ids = order.ids
    const fork = await at(order).collection.storageInstance.findDocumentsById(ids, true)
    const meta = await at(order).replication.metaInstance.findDocumentsById(ids.map((id) => `${id}|0`), true)
    return { text: JSON.stringify([fork, meta]) }
  },
  resync: async (order) => (at(order).stream.next('RESYNC'), {}),
  emit: async (order) => (at(order).stream.next({ documents: order.documents, checkpoint: order.checkpoint }), {}),
  settled: async (order) => (await at(order).replication.awaitInSync(), {}),
  // one whole round: what is typed goes up, what is new comes down
  sync: async (order) => {
    const phone = at(order)
    const before = phone.line.begun.pull
    await phone.replication.awaitInSync()
    phone.stream.next('RESYNC')
    await phone.line.until('begun', 'pull', before + 1)
    await phone.replication.awaitInSync()
    return {}
  },
  offline: async (order) => ((at(order).line.online = false), {}),
  online: async (order) => ((at(order).line.online = true), {}),
  fault: async (order) => (at(order).line.plan(order.on, order.faults), {}),
  release: async (order) => ({ released: at(order).line.release() }),
  release_one: async (order) => ({ released: at(order).line.release(1) }),
  held: async (order) => (await at(order).line.untilHeld(order.count ?? 1), {}),
  until: async (order) => (await at(order).line.until(order.stage ?? 'done', order.on, order.count), {}),
  counts: async (order) => {
    const { begun, done, failed, together, seen } = at(order).line
    return { begun, done, failed, together: together.most, seen, errors: at(order).errors }
  },
  toy_put: async (order) => (order.documents.forEach((doc) => at(order).toy.put(doc)), {}),
  toy_pull: async (order) => ((at(order).toy.pulling = order.behaviour), {}),
  toy_push: async (order) => ((at(order).toy.pushing = order.behaviour), {}),
  toy_dump: async (order) => ({ documents: [...at(order).toy.rows.values()].map((row) => row.doc) }),
  // how many collections the free edition opens
  collections: async ({ count }) => {
    const fresh = await createRxDatabase({ name: `many-${uuid7()}`, storage: getRxStorageMemory(), multiInstance: false })
    for (let made = 0; made < count; made += 1) {
      try {
        await fresh.addCollections({ [`c${made}`]: { schema: LOOSE } })
      } catch (error) {
        return { opened: made, code: error.code }
      }
    }
    return { opened: count, code: null }
  },
}

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  const order = JSON.parse(line)
  try {
    answer({ n: order.n, ok: true, ...(await commands[order.do](order)) })
  } catch (error) {
    answer({ n: order.n, ok: false, error: String(error?.message ?? error), code: error?.code ?? null })
  }
})
lines.on('close', () => process.exit(0))
