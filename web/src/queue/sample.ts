import type { Escalation } from '../api/types'

/** A row for tests, whole but for what the test changes. */
export function sample(changes: Partial<Escalation> = {}): Escalation {
  return {
    id: 'e1',
    case_id: 'c1',
    code: '涧2026-000123',
    level: 2,
    level_zh: '街道',
    state: 'open',
    opened_at: Date.UTC(2026, 10, 23, 2, 0),
    reason_zh: '已派城关司法所,超过签收时限(4个工作小时)仍未签收',
    reason_en: 'Dispatched to the justice office; not accepted within 4 working hours',
    clock: 'accept',
    due_at: Date.UTC(2026, 10, 23, 4, 0),
    group: 'decide',
    acts: ['acknowledge', 'extend', 'instruct', 'send_back'],
    asked_zh: '请明确承办单位或催其签收',
    asked_en: 'Name the unit, or have it accept',
    next: {
      at: Date.UTC(2026, 10, 24, 9, 30),
      level: 3,
      zh: '11月24日(周二)17:30将提级到区(县)(签收已超期13个工作小时)。',
      en: 'Reaches the district on Tue 24 Nov 17:30 (acceptance overdue by 13 working hours).',
    },
    firing_key: 'accept:1:accept:street:0',
    category_group: '01',
    category_zh: '邻里纠纷',
    status: 'dispatched',
    status_zh: '已派单',
    risk: { colour: 'orange' },
    protection: 'normal',
    cell: { code: '410305001001001', name: '电焊条厂家属院' },
    handler: { unit: 'u1', unit_name: '城关司法所', user_name: null },
    title: '三楼漏水到二楼',
    ack: null,
    instruction: null,
    ...changes,
  }
}
