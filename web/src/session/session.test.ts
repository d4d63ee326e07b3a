import { describe, expect, it } from 'vitest'
import { hasQueue, isLeader, parseSession, refreshed, sessionOf } from './session'

const answer = {
  access_token: 'a1',
  refresh_token: 'r1',
  expires_in: 900,
  device_id: 'd1',
  user: { id: 'u1', name: '秦书记', roles: ['street_leader'], grants: [{ role: 'street_leader', unit_name: '工运街道综治中心', cell_name: null }] },
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

  it('says where somebody works: the unit, else the cell', () => {
    const worker = { ...answer.user, grants: [{ role: 'grid_worker', unit_name: null, cell_name: '第一网格' }] }
    expect(sessionOf(answer).user.place).toBe('工运街道综治中心')
    expect(sessionOf({ ...answer, user: worker }).user.place).toBe('第一网格')
    expect(sessionOf({ ...answer, user: { ...answer.user, grants: [] } }).user.place).toBe('')
  })

  it.each([
    ['street_leader', true],
    ['clerk', true],
    ['grid_worker', false],
    ['admin', false],
  ])('%s has a queue: %s', (role, has) => {
    expect(hasQueue(sessionOf({ ...answer, user: { ...answer.user, roles: [role] } }))).toBe(has)
  })

  it('knows leaders from others', () => {
    expect(isLeader(sessionOf(answer))).toBe(true)
    expect(isLeader(sessionOf({ ...answer, user: { ...answer.user, roles: ['grid_worker'] } }))).toBe(false)
  })
})
