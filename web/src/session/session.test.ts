import { describe, expect, it } from 'vitest'
import { isLeader, parseSession, refreshed, sessionOf } from './session'

const answer = {
  access_token: 'a1',
  refresh_token: 'r1',
  expires_in: 900,
  device_id: 'd1',
  user: { id: 'u1', name: '秦书记', roles: ['street_leader'] },
}

describe('a session', () => {
  it('comes back from storage as it went in', () => {
    const session = sessionOf(answer)
    expect(parseSession(JSON.stringify(session))).toEqual(session)
  })

  it.each([null, '', '{', '[]', 'null', '{"accessToken":"x"}', '{"user":{"name":1}}'])('%j in storage is nobody', (text) => {
    expect(parseSession(text)).toBeNull()
  })

  it('keeps its refresh token when the server sends no new one', () => {
    const session = refreshed(sessionOf(answer), { access_token: 'a2', expires_in: 900 })
    expect(session).toMatchObject({ accessToken: 'a2', refreshToken: 'r1' })
  })

  it('knows leaders from others', () => {
    expect(isLeader(sessionOf(answer))).toBe(true)
    expect(isLeader(sessionOf({ ...answer, user: { ...answer.user, roles: ['grid_worker'] } }))).toBe(false)
  })
})
