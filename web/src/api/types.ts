/** Shapes of the server's answers, as far as this page reads them. Instants are epoch milliseconds, UTC. */

export type RiskColour = 'red' | 'orange' | 'yellow' | 'blue'
export type GroupKey = 'decide' | 'know'
export type EscalationState = 'open' | 'acked' | 'acted' | 'returned' | 'withdrawn'

export interface Escalation {
  id: string
  case_id: string
  code: string | null
  level: number
  level_zh: string
  state: EscalationState
  opened_at: number
  /** Which of the leader's groups; null once the row is closed. */
  group: GroupKey | null
  /** What this person may do on the row. */
  acts: string[]
  reason_zh: string
  reason_en: string
  /** The one question the row asks. */
  asked_zh: string
  asked_en: string
  next: Ahead | null
  clock: string
  due_at: number | null
  firing_key: string
  category_group: string | null
  category_zh: string | null
  status: string
  status_zh: string
  risk: { colour: RiskColour } | null
  protection: 'normal' | 'restricted' | 'sealed'
  cell: { code: string; name: string } | null
  handler: { unit: string; unit_name: string; user_name: string | null } | null
  /** Absent text: the leader sees the facts of a protected case only. */
  title: string | null
  ack: { by: string; by_name: string; until: number | null } | null
  instruction: { text: string; due_at: number; unit: string | null } | null
}

/** What comes next by the rules. `at` and `level` are null where no higher level lies ahead. */
export interface Ahead {
  at: number | null
  level: number | null
  zh: string
  en: string
}

/** A case that reaches the leader by the end of the next working day if nothing happens. */
export type Coming = Pick<
  Escalation,
  'case_id' | 'code' | 'title' | 'category_zh' | 'status' | 'status_zh' | 'risk' | 'protection' | 'cell' | 'handler'
> & { next: Ahead }

export interface EscalationList {
  items: Escalation[]
  tomorrow: Coming[]
  now: number
  demo: boolean
}

export interface SessionAnswer {
  access_token: string
  refresh_token: string
  expires_in: number
  device_id: string
  user: {
    id: string
    name: string
    roles: string[]
    grants: { role: string; unit_name: string | null; cell_name: string | null }[]
  }
}

export interface RefreshAnswer {
  access_token: string
  refresh_token?: string
  expires_in: number
  wipe?: boolean
}

export interface DemoAccount {
  username: string
  password: string
  name?: string
  role: string
  role_zh: string
  unit: string
  unit_name: string
  cells: string[]
}

export interface Health {
  status?: string
  version?: string
}

/** RFC 9457, with the server's stable `code`. */
export interface Problem {
  code?: string
  title?: string
  detail?: string
  status?: number
}

export type EscalationAct =
  | { act: 'acknowledge'; until: number }
  | { act: 'instruct'; text: string; due_at: number; unit?: string }
