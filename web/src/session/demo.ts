import type { DemoAccount } from '../api/types'
import { LEADER_ROLES } from './session'

/** One account for each role, in the order the server lists them; leaders apart, since this page is theirs. */
export function firstOfEachRole(accounts: readonly DemoAccount[]): { leaders: DemoAccount[]; others: DemoAccount[] } {
  const firsts = accounts.filter((account, at) => accounts.findIndex((other) => other.role === account.role) === at)
  return {
    leaders: LEADER_ROLES.flatMap((role) => firsts.filter((account) => account.role === role)),
    others: firsts.filter((account) => !LEADER_ROLES.includes(account.role)),
  }
}
