import type { Escalation, EscalationAct, EscalationState, RiskColour } from '../api/types'

export type GroupKey = 'waiting' | 'taken' | 'dealt'

export interface Group {
  key: GroupKey
  items: Escalation[]
}

const GROUP_OF: Record<EscalationState, GroupKey> = {
  open: 'waiting',
  acked: 'taken',
  acted: 'dealt',
  returned: 'dealt',
  withdrawn: 'dealt',
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

/** The queue in three groups, each there even when empty so that a leader sees that nothing waits. */
export function groups(items: readonly Escalation[]): Group[] {
  return (['waiting', 'taken', 'dealt'] as const).map((key) => ({
    key,
    items: items.filter((item) => GROUP_OF[item.state] === key).sort(compare),
  }))
}

/** Which acts a row offers: what is withdrawn is over, what is returned lies with the level below. */
export function actsOf(item: Escalation): EscalationAct['act'][] {
  if (item.state === 'open') return ['acknowledge', 'instruct']
  if (item.state === 'acked') return ['instruct', 'acknowledge']
  return item.state === 'acted' ? ['instruct'] : []
}

export function isFactsOnly(item: Escalation): boolean {
  return item.title === null && item.protection !== 'normal'
}
