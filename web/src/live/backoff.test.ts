import { expect, it } from 'vitest'
import { backoff, pollEvery } from './backoff'

it('the stream is tried again ever later, at most every half minute', () => {
  expect([0, 1, 2, 3, 10, 99].map((attempt) => backoff(attempt, 0.5))).toEqual([1000, 2000, 4000, 8000, 30_000, 30_000])
})

it('attempts are spread by a quarter to either side', () => {
  expect([backoff(0, 0), backoff(0, 1)]).toEqual([750, 1250])
})

it('without a stream the page asks more often', () => {
  expect(pollEvery(false)).toBeLessThan(pollEvery(true))
})
