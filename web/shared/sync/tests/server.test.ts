import { describe, expect, test } from 'vitest'
import { Refused, Stopped } from '../src/server.ts'
import { pause, retryAfter } from '../src/waiting.ts'
import { faked, json } from './fake.ts'

describe('a request waits for what passes, and says what does not', () => {
  test('without a network it is asked again, later and later', async () => {
    const { server, slept, standings } = faked((_, count) => (count < 4 ? new TypeError('offline') : json({ n: 1 })))
    expect(await server.post('/x', {})).toEqual({ n: 1 })
    expect(slept).toEqual([750, 1500, 3000])
    expect(standings).toEqual(['offline', 'online'])
  })

  test('an answer that breaks off is none', async () => {
    const { server, asked, standings } = faked((_, count) => {
      if (count > 2) return json({ n: 1 })
      const broken = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"n":'))
          if (count === 1) controller.error(new TypeError('cut'))
          else controller.close()
        },
      })
      return new Response(broken)
    })
    const told: boolean[] = []
    expect(await server.post('/x', (lost) => ({ told: told.push(lost) }))).toEqual({ n: 1 })
    expect(told).toEqual([false, true, true])
    expect(asked.map((one) => one.body)).toEqual([{ told: 1 }, { told: 2 }, { told: 3 }])
    expect(standings).toEqual(['offline', 'online'])
  })

  test('a server that has no time is left alone for as long as it asks, and a little longer', async () => {
    const { server, slept } = faked((_, count) =>
      count === 1 ? json({}, 503, { 'retry-after': '30' }) : json({ n: 1 }),
    )
    await server.post('/x', {})
    expect(slept).toEqual([30_375])
  })

  test('what asking again does not help is told to the caller', async () => {
    const { server, slept } = faked(() => json({ code: 'bad_limit' }, 400))
    await expect(server.post('/x', {})).rejects.toMatchObject({ status: 400, code: 'bad_limit' })
    expect(slept).toEqual([])
  })

  test('each request tells its version and its token', async () => {
    const { server, asked } = faked(() => json({}))
    await server.post('/x', {})
    expect(asked[0]?.headers).toMatchObject({ 'wangge-schema': '2', authorization: 'Bearer one' })
  })

  test('an app that is too old waits for its update and keeps what it holds', async () => {
    const { server, standings, slept } = faked((_, count) => json({ code: 'schema_too_old' }, count < 3 ? 426 : 200))
    await server.post('/sync/v1/cases/push', [])
    expect(standings).toEqual(['too_old', 'online'])
    expect(slept).toEqual([3_600_000, 3_600_000])
  })

  test('after the end nothing is asked any more', async () => {
    const { server, asked } = faked(() => json({}))
    server.sleeper.end()
    await expect(server.post('/x', {})).rejects.toBeInstanceOf(Stopped)
    expect(asked).toEqual([])
  })
})

describe('a session', () => {
  test('is renewed once for all requests that found its token spent', async () => {
    const { server, asked, session } = faked((one) => {
      if (one.path.endsWith('/refresh')) return json({ access_token: 'two', refresh_token: 'r2', device_id: 'd' })
      return one.headers['authorization'] === 'Bearer two' ? json({ n: 1 }) : json({ code: 'token_refused' }, 401)
    })
    await Promise.all([server.post('/a', {}), server.post('/b', {}), server.post('/c', {})])
    expect(asked.filter((one) => one.path.endsWith('/refresh'))).toHaveLength(1)
    expect(session()).toMatchObject({ accessToken: 'two', refreshToken: 'r2' })
  })

  test('that has ended waits for its person, and is not forgotten', async () => {
    let over = true
    const { server, standings, session } = faked(() => {
      if (!over) return json({ n: 1 })
      return json({ code: 'session_ended' }, 401)
    })
    const waiting = server.post('/x', {})
    await new Promise((resolve) => setTimeout(resolve))
    over = false
    await waiting
    expect(standings[0]).toBe('signed_out')
    expect(session()?.deviceId).toBe('d')
  })

  test('of a stopped device is told once, and throws for everything but a push', async () => {
    let told = 0
    const { server } = faked(
      (one) =>
        one.path.endsWith('/push')
          ? json([], 200, { 'wangge-wipe': 'true' })
          : json({ code: 'session_ended', wipe: true }, 401),
      { onWipe: () => (told += 1) },
    )
    await expect(server.post('/sync/v1/cases/pull', {})).rejects.toBeInstanceOf(Refused)
    expect(await server.post('/sync/v1/cases/push', [])).toEqual([])
    expect([server.wiping, told]).toEqual([true, 1])
  })
})

test('a pause doubles to five minutes and is spread', () => {
  expect([0, 1, 2, 30].map((attempt) => pause(attempt, 1))).toEqual([1_000, 2_000, 4_000, 300_000])
  expect(pause(30, 0)).toBe(150_000)
})

test('Retry-After is seconds or a date', () => {
  expect(retryAfter('120', 0)).toBe(120_000)
  expect(retryAfter('Thu, 01 Jan 1970 00:01:00 GMT', 10_000)).toBe(50_000)
  expect([retryAfter(null, 0), retryAfter('soon', 0)]).toEqual([null, null])
})
