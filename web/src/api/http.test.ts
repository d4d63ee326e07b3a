import { describe, expect, it, vi } from 'vitest'
import { kindOf, send } from './http'

function answer(status: number, body: string): void {
  vi.stubGlobal('fetch', vi.fn(() => Promise.resolve(new Response(body, { status }))))
}

describe('an answer becomes one of the states a view knows', () => {
  it.each([
    [401, 'unauthorised'],
    [403, 'forbidden'],
    [404, 'missing'],
    [409, 'conflict'],
    [422, 'refused'],
    [503, 'busy'],
    [500, 'server'],
  ])('%i is %s', (status, kind) => {
    expect(kindOf(status)).toBe(kind)
  })

  it('no network is offline, not an exception', async () => {
    vi.stubGlobal('fetch', vi.fn(() => Promise.reject(new TypeError('failed'))))
    expect(await send('/x')).toEqual({ ok: false, kind: 'offline', problem: {} })
  })

  it('a problem keeps its code', async () => {
    answer(409, '{"code":"act_illegal"}')
    expect(await send('/x')).toEqual({ ok: false, kind: 'conflict', problem: { code: 'act_illegal' } })
  })

  it("a proxy's page in place of JSON is a failure of the server, not of this page", async () => {
    answer(502, '<html>')
    expect(await send('/x')).toEqual({ ok: false, kind: 'server', problem: {} })
  })

  it('the token goes into the header and no cookie is sent', async () => {
    answer(200, '{}')
    await send('/x', { token: 'abc' })
    expect(vi.mocked(fetch).mock.calls[0]?.[1]).toMatchObject({
      credentials: 'omit',
      headers: { Authorization: 'Bearer abc' },
    })
  })
})
