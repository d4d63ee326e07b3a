import type { EscalationAct } from '../api/types'

export type Fault = 'needText' | 'needTime'

export interface Draft {
  text: string
  at: number | null
  /** The unit that has the case; without one the server decides whom an instruction goes to. */
  unit: string | null
}

/** What is sent for an act; null while no time can be read from the form. */
export function draftOf(act: EscalationAct['act'], draft: Draft): EscalationAct | null {
  if (draft.at === null) return null
  if (act === 'acknowledge') return { act, until: draft.at }
  return { act, text: draft.text.trim(), due_at: draft.at, ...(draft.unit === null ? {} : { unit: draft.unit }) }
}

/** The first thing wrong with it, as the key of the sentence that says so. */
export function faultOf(body: EscalationAct | null, now: number): Fault | null {
  if (!body) return 'needTime'
  if (body.act === 'instruct' && body.text === '') return 'needText'
  return (body.act === 'acknowledge' ? body.until : body.due_at) > now ? null : 'needTime'
}
