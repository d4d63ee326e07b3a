import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const css = readFileSync('src/styles/tokens.css', 'utf8')

function tokensOf(selector: string): Record<string, string> {
  const block = css.slice(css.indexOf(`${selector} {`)).split('}')[0] ?? ''
  return Object.fromEntries([...block.matchAll(/(--[\w-]+):\s*(#[0-9a-f]{6});/g)].map((found) => [found[1], found[2]]))
}

/** Relative luminance after WCAG 2.2. */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const share = parseInt(hex.slice(at, at + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

const grounds = ['--paper', '--surface']
const signs = ['--risk-red', '--risk-orange', '--risk-yellow', '--risk-blue', '--settled', '--unrated']
const pairs: [string, string][] = [
  ...['--ink', '--ink-soft', '--accent', ...signs].flatMap((text) => grounds.map((ground): [string, string] => [text, ground])),
  ...signs.map((sign): [string, string] => [sign, `${sign}-soft`]),
  ['--ink', '--accent-soft'],
  ['--accent', '--accent-soft'],
  ['--on-accent', '--accent'],
]
const light = tokensOf(':root')
const themes = { light, dark: { ...light, ...tokensOf(":root[data-theme='dark']") } }

describe.each(Object.entries(themes))('in the %s theme', (_name, tokens) => {
  it.each(pairs)('%s can be read on %s', (text, ground) => {
    expect(contrast(tokens[text] ?? '', tokens[ground] ?? '')).toBeGreaterThanOrEqual(4.5)
  })

  it('borders of fields can be seen', () => {
    for (const ground of grounds) {
      expect(contrast(tokens['--line-strong'] ?? '', tokens[ground] ?? '')).toBeGreaterThanOrEqual(2.8)
    }
  })
})

it('knows black on white as 21 : 1', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21)
})
