import { describe, expect, it } from 'vitest'
import { actsOf, groups, isFactsOnly } from './order'
import { reconcile } from './reconcile'
import { sample } from './sample'

describe('the queue of a leader', () => {
  it('has its groups, also when empty', () => {
    expect(groups([]).map((group) => [group.key, group.items.length])).toEqual([
      ['decide', 0],
      ['know', 0],
    ])
  })

  it('puts danger first, then what has been due longest, then the unrated', () => {
    const items = [
      sample({ id: 'unrated', risk: null, due_at: 1 }),
      sample({ id: 'blue', risk: { colour: 'blue' }, due_at: 1 }),
      sample({ id: 'red-later', risk: { colour: 'red' }, due_at: 9 }),
      sample({ id: 'red-no-due', risk: { colour: 'red' }, due_at: null }),
      sample({ id: 'red-earlier', risk: { colour: 'red' }, due_at: 5 }),
    ]
    expect(groups(items)[0]?.items.map((item) => item.id)).toEqual([
      'red-earlier', 'red-later', 'red-no-due', 'blue', 'unrated',
    ])
  })

  it('offers what this person may do, the likelier act first', () => {
    expect(actsOf(sample())).toEqual(['acknowledge', 'instruct'])
    expect(actsOf(sample({ state: 'acked' }))).toEqual(['instruct', 'acknowledge'])
    expect(actsOf(sample({ acts: ['acknowledge'] }))).toEqual(['acknowledge'])
    expect(actsOf(sample({ acts: [] }))).toEqual([])
  })

  it('shows facts only for a protected case without text', () => {
    expect(isFactsOnly(sample({ protection: 'sealed', title: null }))).toBe(true)
    expect(isFactsOnly(sample({ title: null }))).toBe(false)
  })
})

describe('while a leader reads, the list does not jump', () => {
  const shown = [sample({ id: 'a' }), sample({ id: 'b' })]

  it('a known row changes where it stands', () => {
    const { rows, fresh, gone } = reconcile(shown, [sample({ id: 'b', state: 'acked' }), sample({ id: 'a' })])
    expect(rows.map((item) => [item.id, item.state])).toEqual([['a', 'open'], ['b', 'acked']])
    expect([fresh, gone]).toEqual([0, []])
  })

  it('one that belongs into another group now counts as new there', () => {
    expect(reconcile(shown, [sample({ id: 'a', group: 'know' }), sample({ id: 'b' })]).fresh).toBe(1)
  })

  it('a new row waits behind the bar and one that left stays, marked', () => {
    const { rows, fresh, gone } = reconcile(shown, [sample({ id: 'c' }), sample({ id: 'a' })])
    expect(rows.map((item) => item.id)).toEqual(['a', 'b'])
    expect([fresh, gone]).toEqual([1, ['b']])
  })
})
