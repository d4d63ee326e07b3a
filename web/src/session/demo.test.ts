import { expect, it } from 'vitest'
import type { DemoAccount } from '../api/types'
import { firstOfEachRole } from './demo'

function account(username: string, role: string): DemoAccount {
  return { username, role, password: 'x', role_zh: role, unit: 'u', unit_name: 'u', cells: [] }
}

it('offers one account a role, leaders from the community upwards', () => {
  const { leaders, others } = firstOfEachRole([
    account('w1', 'grid_worker'),
    account('d1', 'district_leader'),
    account('w2', 'grid_worker'),
    account('c1', 'community_leader'),
  ])
  expect(leaders.map((one) => one.username)).toEqual(['c1', 'd1'])
  expect(others.map((one) => one.username)).toEqual(['w1'])
})
