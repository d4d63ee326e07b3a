import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { differing, digestOf, same } from '../src/digest.ts'
import { inFull, lostSince, restoredTo } from '../src/epoch.ts'
import { cut } from '../src/phone.ts'
import { eventsOf } from '../src/pokes.ts'
import { rxMigrations, rxSchema } from '../src/schema.ts'
import { Lane, Sleeper } from '../src/waiting.ts'
import type { Digest, Doc } from '../src/wire.ts'
import { uuid7 } from '../src/writes.ts'

/** The examples of the protocol, which the server's own tests hold against the server. */
function example(name: string): unknown {
  const text = readFileSync('../sync/PROTOCOL.md', 'utf8')
  return JSON.parse(new RegExp('```json ' + name + '\\n([^`]*)```').exec(text)?.[1] ?? 'null')
}

describe('digests', () => {
  test('are those of the protocol', async () => {
    const told = example('digest-answer') as { ranges: Record<string, Digest> }
    const [pushed] = example('push-answer') as [Doc]
    expect(await digestOf(new Map([[pushed.id, pushed.v ?? 0]]))).toEqual(told.ranges['1'])
    expect(same(await digestOf(new Map()), undefined)).toBe(true)
  })

  test('lead to the ranges that differ, with few questions', async () => {
    const there = new Map(Array.from({ length: 2_000 }, (_, n) => [(n * 7919).toString(16).padStart(8, '0'), 1]))
    const here = new Map(there)
    const [lost, stale] = [...there.keys()].slice(700, 702) as [string, string]
    here.delete(lost)
    here.set(stale, 0)
    let asked = 0
    const post = async <T>(_: string, body: unknown): Promise<T> => {
      asked += 1
      const { ranges } = body as { ranges: string[] }
      const parts = new Map<string, Map<string, number>>()
      for (const [id, v] of there) {
        const range = ranges.find((ending) => id.endsWith(ending))
        if (range === undefined) continue
        const part = id.slice(-range.length - 1)
        parts.set(part, (parts.get(part) ?? new Map<string, number>()).set(id, v))
      }
      const sums: Record<string, Digest> = {}
      for (const [part, held] of parts) sums[part] = await digestOf(held)
      return { ranges: sums } as T
    }
    const ranges = await differing(post, 'cases', 1, here)
    expect([lost, stale].every((id) => ranges.some((range) => id.endsWith(range)))).toBe(true)
    expect(ranges.length).toBeLessThanOrEqual(2)
    expect(asked).toBeLessThanOrEqual(4)
    expect(await differing(post, 'cases', 1, there)).toEqual([])
  })
})

describe('after a restore', () => {
  const twice = [
    { epoch: 5, restored_to: 80 },
    { epoch: 9, restored_to: 60 },
  ]

  test('what is handed in again begins at the lowest number of all restores since', () => {
    expect(restoredTo(1, { epoch: 9, restored: twice })).toBe(60)
    expect(restoredTo(5, { epoch: 9, restored: [...twice.slice(0, 1), { epoch: 9, restored_to: 95 }] })).toBe(95)
    expect(restoredTo(7, { epoch: 9, restored: twice })).toBe(0) // an epoch the server does not know: everything
  })

  test('only what is held in full, and what a phone writes at all', () => {
    const held = { id: 'a', v: 9, captured_at: 1, _deleted: false }
    const plain = { ...held, id: 'b', parties_masked: [] }
    const shell = { id: 'c', v: 9, _deleted: false }
    expect(lostSince('cases', [held, plain, shell, { ...held, id: 'd', v: 3 }], 5)).toEqual([held])
    expect(lostSince('tasks', [held], 0)).toEqual([])
    expect(inFull('entries', { id: 'e', _deleted: false })).toBe(false)
  })
})

test('rows are cut into batches that keep the limits, and one row alone is sent as it is', () => {
  const rows = Array.from({ length: 7 }, (_, n) => ({ newDocumentState: { id: String(n), _deleted: false } }))
  expect(cut(rows, { push_rows: 3, push_bytes: 10_000 }).map((batch) => batch.length)).toEqual([3, 3, 1])
  expect(cut(rows, { push_rows: 100, push_bytes: 60 }).every((batch) => batch.length === 1)).toBe(true)
  expect(cut([], { push_rows: 3, push_bytes: 10 })).toEqual([])
})

test('events of a stream are read whole, however they were cut on their way', async () => {
  const sent = 'retry: 4000\n\nevent: RESYNC\ndata: {"collections":["cases"],"head":13}\n\n: still here\n\n'
  for (const size of [1, 7, 1_000]) {
    const pieces = sent.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
    const body = new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece))
        controller.close()
      },
    })
    const events = []
    for await (const event of eventsOf(new Response(body))) events.push(event)
    expect(events[0]?.retry).toBe(4_000)
    expect(events[1]).toMatchObject({ name: 'RESYNC', data: '{"collections":["cases"],"head":13}' })
  }
})

test('a write id has a UUID of version 7', () => {
  expect(uuid7(0x01998d6f3c00)).toMatch(/^01998d6f-3c00-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('a lane runs one thing after the other, whatever became of the one before', async () => {
  const lane = new Lane()
  const done: string[] = []
  const slow = lane.run(async () => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    done.push('slow')
    throw new Error('lost')
  })
  const quick = lane.run(async () => done.push('quick'))
  await expect(slow).rejects.toThrow('lost')
  await quick
  expect(done).toEqual(['slow', 'quick'])
})

test('a sleep ends when somebody wakes it', async () => {
  const sleeper = new Sleeper()
  const asleep = sleeper.sleep(3_600_000)
  sleeper.wake()
  await asleep
  sleeper.end()
  await sleeper.sleep(3_600_000)
})

test('a published schema becomes that of a database, one number lower', () => {
  const published = { properties: { id: { type: 'string' }, _deleted: {}, v: {} }, required: ['id', '_deleted'] }
  expect(rxSchema(published, 2)).toMatchObject({ version: 1, primaryKey: 'id', required: ['id'] })
  expect(Object.keys(rxMigrations(3))).toEqual(['1', '2'])
})
