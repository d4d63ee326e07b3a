import { expect, test } from 'vitest'
import { PageSize } from '../src/pages.ts'
import { faked, json } from './fake.ts'

const KIB = 1024

/** A line on which each page takes so many ms, and what is wished for on it, in KiB. */
function wished(tooks: number[], more = true): number[] {
  let now = 1_000
  const size = new PageSize(() => now)
  return tooks.map((took) => {
    const bytes = size.wish(false)
    now += took
    size.came(more)
    return bytes / KIB
  })
}

test('on a good line pages grow to a mebibyte', () => {
  expect(wished([1_999, 0, 0, 0])).toEqual([256, 512, 1024, 1024])
})

test('on a slow line they shrink to sixteen kibibytes', () => {
  expect(wished([8_001, 60_000, 60_000, 60_000, 60_000, 60_000])).toEqual([256, 128, 64, 32, 16, 16])
})

test('what is neither quick nor slow leaves them as they are', () => {
  expect(wished([2_000, 8_000, 5_000])).toEqual([256, 256, 256])
})

test('the last page of a plan, which may hold little, makes none larger', () => {
  expect(wished([0, 0], false)).toEqual([256, 256])
})

test('an answer that was lost halves the next attempt, and the time counts from that', () => {
  let now = 0
  const size = new PageSize(() => now)
  expect(size.wish(false) / KIB).toBe(256)
  now += 60_000
  expect(size.wish(true) / KIB).toBe(128)
  now += 100
  size.came(true)
  expect(size.wish(false) / KIB).toBe(256)
  for (let lost = 0; lost < 10; lost += 1) size.wish(true)
  expect(size.wish(false) / KIB).toBe(16)
})

test('a request that waits wishes anew each time; a server without time, or a spent token, says nothing of the line', async () => {
  const answers = [json({}, 503), new TypeError('cut'), json({}, 500), json({ code: 'token_refused' }, 401)]
  const refreshed = json({ access_token: 'two', refresh_token: 'r2', device_id: 'd' })
  const { server, asked } = faked((one) => (one.path.endsWith('/refresh') ? refreshed : (answers.shift() ?? json({}))))
  const size = new PageSize(() => server.now())
  await server.post('/x', (lost) => ({ bytes: size.wish(lost) }))
  const bodies = asked.filter((one) => one.path === '/x').map((one) => one.body as { bytes: number })
  expect(bodies.map(({ bytes }) => bytes / KIB)).toEqual([256, 256, 128, 128, 128])
})
