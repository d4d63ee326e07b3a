/**
 * Instants as people of the field read them. Offices keep one time, China's, whatever the viewer's machine says; it
 * has had no summer time since 1991, so a fixed offset is exact.
 */
export type Lang = 'zh' | 'en'

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
const OFFSET = 8 * HOUR
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const two = (n: number): string => String(n).padStart(2, '0')

function parts(at: number): { year: number; month: number; day: number; clock: string } {
  const local = new Date(at + OFFSET)
  return {
    year: local.getUTCFullYear(),
    month: local.getUTCMonth(),
    day: local.getUTCDate(),
    clock: `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}`,
  }
}

/** 「11月23日 16:00」, with the year where it is another one; 「今天 16:00」 for today. */
export function instant(at: number, now: number, lang: Lang): string {
  const { year, month, day, clock } = parts(at)
  const today = parts(now)
  if (year === today.year && month === today.month && day === today.day) {
    return lang === 'zh' ? `今天 ${clock}` : `today ${clock}`
  }
  const other = year !== today.year
  if (lang === 'zh') return `${other ? `${year}年` : ''}${month + 1}月${day}日 ${clock}`
  return `${day} ${MONTHS[month] ?? ''}${other ? ` ${year}` : ''} ${clock}`
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

/** 「还剩 3 小时」 or 「已超 2 天」. */
export function remaining(due: number, now: number, lang: Lang): { late: boolean; text: string } {
  const late = due <= now
  const text = span(Math.abs(due - now), lang)
  if (lang === 'zh') return { late, text: late ? `已超 ${text}` : `还剩 ${text}` }
  return { late, text: late ? `${text} overdue` : `${text} left` }
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

/** The end of the office day (17:30) that lies `days` days ahead; today's, once past, is tomorrow's. */
export function officeEnd(now: number, days: number): number {
  const midnight = Math.floor((now + OFFSET) / DAY) * DAY - OFFSET
  const end = midnight + days * DAY + 17.5 * HOUR
  return end > now ? end : end + DAY
}
