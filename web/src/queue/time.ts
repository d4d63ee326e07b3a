/**
 * Instants as people of the field read them. Offices keep one time, China's, whatever the viewer's machine says; it
 * has had no summer time since 1991, so a fixed offset is exact.
 */
export type Lang = 'zh' | 'en'

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
const OFFSET = 8 * HOUR
const WEEKDAYS = { zh: '日一二三四五六', en: ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] } as const
const NEAR = { zh: ['昨天', '今天', '明天'], en: ['yesterday', 'today', 'tomorrow'] } as const
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const two = (n: number): string => String(n).padStart(2, '0')

function parts(at: number): { year: number; month: number; day: number; weekday: number; clock: string } {
  const local = new Date(at + OFFSET)
  return {
    year: local.getUTCFullYear(),
    month: local.getUTCMonth(),
    day: local.getUTCDate(),
    weekday: local.getUTCDay(),
    clock: `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}`,
  }
}

const dayOf = (at: number): number => Math.floor((at + OFFSET) / DAY)

/** 「11月23日（周一）16:00」, with the year where it is another one; 「今天 16:00」 and the days beside it by name. */
export function instant(at: number, now: number, lang: Lang): string {
  const near = NEAR[lang][dayOf(at) - dayOf(now) + 1]
  return near === undefined ? fullInstant(at, now, lang) : `${near} ${parts(at).clock}`
}

/** The same without names for near days. */
export function fullInstant(at: number, now: number, lang: Lang): string {
  const { year, month, day, weekday, clock } = parts(at)
  const other = year !== parts(now).year
  if (lang === 'zh') return `${other ? `${year}年` : ''}${month + 1}月${day}日（周${WEEKDAYS.zh[weekday] ?? ''}）${clock}`
  return `${WEEKDAYS.en[weekday] ?? ''} ${day} ${MONTHS[month] ?? ''}${other ? ` ${year}` : ''} ${clock}`
}

/** The rules write half-width marks between Chinese words; on a page they are set full-width. */
export function typeset(text: string): string {
  return text.replace(/,/g, '，').replace(/\(/g, '（').replace(/\)/g, '）')
}

/** A span in its two largest units: 「2 天 3 小时」. Below a minute it is nothing worth a figure. */
export function span(ms: number, lang: Lang): string {
  const whole = Math.max(0, Math.floor(ms / MINUTE))
  const days = Math.floor(whole / (24 * 60))
  const hours = Math.floor(whole / 60) % 24
  const minutes = whole % 60
  const words = lang === 'zh' ? (['天', '小时', '分钟'] as const) : (['d', 'h', 'min'] as const)
  const all = [`${days} ${words[0]}`, `${hours} ${words[1]}`, `${minutes} ${words[2]}`]
  const figures = [days, hours, minutes]
  const first = figures.findIndex((figure) => figure > 0)
  if (first < 0) return lang === 'zh' ? '不到 1 分钟' : 'less than 1 min'
  return all.filter((_, at) => at >= first && at < first + 2 && (figures[at] ?? 0) > 0).join(' ')
}

/** 「还剩 3 小时」 or 「已过」: by how many working hours, the sentence of the rules says, which knows the holidays. */
export function remaining(due: number, now: number, lang: Lang): { late: boolean; text: string } {
  if (due <= now) return { late: true, text: lang === 'zh' ? '已过' : 'past' }
  const text = span(due - now, lang)
  return { late: false, text: lang === 'zh' ? `还剩 ${text}` : `${text} left` }
}

/** The value of a datetime-local field, in China's time. */
export function toField(at: number): string {
  return new Date(at + OFFSET).toISOString().slice(0, 16)
}

export function fromField(value: string): number | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(value)) return null
  const at = Date.parse(`${value}Z`) - OFFSET
  return Number.isNaN(at) ? null : at
}

/**
 * Ends of office days (17:30) to choose from: the next, the one after, and one a few days on. Saturdays and Sundays are
 * passed over; holidays the page does not know, there the field is changed by hand.
 */
export function officeEnds(now: number): number[] {
  const ends: number[] = []
  for (let day = dayOf(now); ends.length < 4; day += 1) {
    const end = day * DAY - OFFSET + 17.5 * HOUR
    const weekday = parts(end).weekday
    if (end > now && weekday !== 0 && weekday !== 6) ends.push(end)
  }
  return ends.filter((_, at) => at !== 2)
}
