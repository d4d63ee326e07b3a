import { describe, expect, it } from 'vitest'
import { DAY, fromField, HOUR, instant, MINUTE, officeEnd, remaining, span, toField } from './time'

const now = Date.UTC(2026, 10, 23, 8, 0) // 16:00 in China

describe('an instant is told in the time of the office', () => {
  it.each([
    [now, '今天 16:00', 'today 16:00'],
    [now - DAY, '11月22日 16:00', '22 Nov 16:00'],
    [now + 8 * HOUR, '11月24日 00:00', '24 Nov 00:00'],
    [Date.UTC(2027, 0, 4, 1, 5), '2027年1月4日 09:05', '4 Jan 2027 09:05'],
  ])('%i', (at, zh, en) => {
    expect(instant(at, now, 'zh')).toBe(zh)
    expect(instant(at, now, 'en')).toBe(en)
  })
})

describe('a span is told in its two largest units', () => {
  it.each([
    [59_000, '不到 1 分钟'],
    [5 * MINUTE, '5 分钟'],
    [HOUR, '1 小时'],
    [3 * HOUR + 20 * MINUTE, '3 小时 20 分钟'],
    [2 * DAY + 3 * HOUR + 5 * MINUTE, '2 天 3 小时'],
    [2 * DAY + 5 * MINUTE, '2 天'],
    [-5, '不到 1 分钟'],
  ])('%i', (ms, text) => {
    expect(span(ms, 'zh')).toBe(text)
  })
})

describe('what is due', () => {
  it('is left before, overdue at and after the instant', () => {
    expect(remaining(now + HOUR, now, 'zh')).toEqual({ late: false, text: '还剩 1 小时' })
    expect(remaining(now, now, 'zh').late).toBe(true)
    expect(remaining(now - 2 * DAY, now, 'en')).toEqual({ late: true, text: '2 d overdue' })
  })
})

describe('a promised time', () => {
  it('goes into the field and back', () => {
    expect(toField(now)).toBe('2026-11-23T16:00')
    expect(fromField(toField(now))).toBe(now)
  })

  it.each(['', '2026-11-23', 'tomorrow', '2026-13-40T99:00'])('%j is no time', (value) => {
    expect(fromField(value)).toBeNull()
  })

  it('is by default the end of the office day, never in the past', () => {
    expect(officeEnd(now, 0)).toBe(now + 1.5 * HOUR)
    expect(officeEnd(now + 2 * HOUR, 0)).toBe(now + 1.5 * HOUR + DAY)
    expect(officeEnd(now, 1)).toBe(now + 1.5 * HOUR + DAY)
  })
})
