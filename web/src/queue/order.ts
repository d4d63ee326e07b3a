import type { Escalation, EscalationAct, GroupKey, RiskColour } from '../api/types'

export interface Group {
  key: GroupKey
  items: Escalation[]
}

const RANK: Record<RiskColour, number> = { red: 0, orange: 1, yellow: 2, blue: 3 }

export const SHAPE: Record<RiskColour | 'none', string> = { red: '◆', orange: '▲', yellow: '●', blue: '○', none: '–' }

/** Danger first, then what has been due longest; the id keeps equal ones from changing places. */
export function compare(one: Escalation, other: Escalation): number {
  return (
    rank(one) - rank(other) ||
    (one.due_at ?? Number.MAX_SAFE_INTEGER) - (other.due_at ?? Number.MAX_SAFE_INTEGER) ||
    one.opened_at - other.opened_at ||
    (one.id < other.id ? -1 : 1)
  )
}

function rank(item: Escalation): number {
  return item.risk ? RANK[item.risk.colour] : 4
}

/** The queue in its groups, each there even when empty so that a leader sees that nothing waits. */
export function groups(items: readonly Escalation[]): Group[] {
  return (['decide', 'know'] as const).map((key) => ({
    key,
    items: items.filter((item) => (item.group ?? 'know') === key).sort(compare),
  }))
}

/** Which acts a row offers, the likelier first; the server says what this person may do. */
export function actsOf(item: Escalation): EscalationAct['act'][] {
  const order = item.state === 'open' ? (['acknowledge', 'instruct'] as const) : (['instruct', 'acknowledge'] as const)
  return order.filter((act) => item.acts.includes(act))
}

export function isFactsOnly(item: Escalation): boolean {
  return item.title === null && item.protection !== 'normal'
}
