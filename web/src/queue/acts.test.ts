import { describe, expect, it } from 'vitest'
import { draftOf, faultOf } from './acts'

const now = 1_000_000

describe('an act of a leader', () => {
  it('taking on names the promised time', () => {
    const body = draftOf('acknowledge', { text: '', at: now + 1, unit: 'u1' })
    expect(body).toEqual({ act: 'acknowledge', until: now + 1 })
    expect(faultOf(body, now)).toBeNull()
  })

  it('an instruction goes to the unit that has the case, with a time for the reply', () => {
    const body = draftOf('instruct', { text: ' 请上门 ', at: now + 1, unit: 'u1' })
    expect(body).toEqual({ act: 'instruct', text: '请上门', due_at: now + 1, unit: 'u1' })
  })

  it('an instruction on a case nobody has names no unit', () => {
    expect(draftOf('instruct', { text: '请上门', at: now + 1, unit: null })).not.toHaveProperty('unit')
  })

  it.each([
    ['a time that cannot be read', draftOf('acknowledge', { text: '', at: null, unit: null }), 'needTime'],
    ['a time that is past', draftOf('acknowledge', { text: '', at: now, unit: null }), 'needTime'],
    ['an instruction that says nothing', draftOf('instruct', { text: ' ', at: now + 1, unit: null }), 'needText'],
  ])('%s is not sent', (_name, body, fault) => {
    expect(faultOf(body, now)).toBe(fault)
  })
})
