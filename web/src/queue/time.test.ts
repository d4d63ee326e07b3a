import { describe, expect, it } from 'vitest'
import { DAY, fromField, fullInstant, HOUR, instant, MINUTE, officeEnds, remaining, span, toField, typeset } from './time'

const now = Date.UTC(2026, 10, 23, 8, 0) // 16:00 in China

describe('an instant is told in the time of the office', () => {
  it.each([
    [now, '今天 16:00', 'today 16:00'],
    [now - DAY, '昨天 16:00', 'yesterday 16:00'],
    [now + 8 * HOUR, '明天 00:00', 'tomorrow 00:00'],
    [now + 2 * DAY, '11月25日（周三）16:00', 'Wed 25 Nov 16:00'],
    [now - 2 * DAY, '11月21日（周六）16:00', 'Sat 21 Nov 16:00'],
    [Date.UTC(2027, 0, 4, 1, 5), '2027年1月4日（周一）09:05', 'Mon 4 Jan 2027 09:05'],
  ])('%i', (at, zh, en) => {
    expect(instant(at, now, 'zh')).toBe(zh)
    expect(instant(at, now, 'en')).toBe(en)
  })

  it('in full where the day itself matters', () => {
    expect(fullInstant(now, now, 'zh')).toBe('11月23日（周一）16:00')
  })

  it('Chinese sentences are set with full-width marks', () => {
    expect(typeset('已派甲所,仍未签收(超期3天)。')).toBe('已派甲所，仍未签收（超期3天）。')
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
    expect(remaining(now - 2 * DAY, now, 'en')).toEqual({ late: true, text: 'past' })
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

  it('is offered at the ends of office days, never in the past', () => {
    const end = now + 1.5 * HOUR
    expect(officeEnds(now)).toEqual([end, end + DAY, end + 3 * DAY])
    expect(officeEnds(now + 2 * HOUR)).toEqual([end + DAY, end + 2 * DAY, end + 4 * DAY])
  })

  it('is not offered on a Saturday or Sunday', () => {
    const friday = now + 4 * DAY
    expect(officeEnds(friday).map((at) => fullInstant(at, now, 'en').slice(0, 3))).toEqual(['Fri', 'Mon', 'Wed'])
  })
})
