import { expect, it } from 'vitest'
import { en } from './en'
import { zh } from './zh'

function texts(words: unknown): string[] {
  if (typeof words === 'string') return [words]
  if (typeof words === 'function') return [String((words as (...args: unknown[]) => unknown)(1, 2))]
  return Object.values(words as Record<string, unknown>).flatMap(texts)
}

it('both languages say everything', () => {
  expect(texts(en).length).toBe(texts(zh).length)
  const silent = [...texts(zh), ...texts(en)].filter((text) => text === '')
  expect(silent).toHaveLength(2) // an ordinary case needs no word for its protection
})

it('avoids the words that mislead in the field', () => {
  expect(texts(zh).join('')).not.toMatch(/隔离区|墓碑|冲突账本|升级|反弹重启|逐出/)
})
