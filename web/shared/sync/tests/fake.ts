import { Server } from '../src/server.ts'
import type { ServerOptions, Session, Standing } from '../src/server.ts'
import { Sleeper } from '../src/waiting.ts'

export interface Asked {
  path: string
  headers: Record<string, string>
  body: unknown
}

type Answer = Response | Error

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers })
}

/** A server of which a test says what it answers, a sleep that does not last, and what was asked. */
export function faked(answer: (asked: Asked, count: number) => Answer, options: Partial<ServerOptions> = {}) {
  const asked: Asked[] = []
  const slept: number[] = []
  const standings: Standing[] = []
  let session: Session | null = { accessToken: 'one', refreshToken: 'r1', deviceId: 'd' }
  const sleeper = new (class extends Sleeper {
    override sleep(ms: number): Promise<void> {
      slept.push(ms)
      return new Promise((resolve) => setTimeout(resolve)) // others get their turn
    }
  })()
  const server = new Server({
    base: '',
    session: { read: () => session, write: (next) => (session = next) },
    sleeper,
    random: () => 0.5,
    onStanding: (standing) => standings.push(standing),
    fetch: (input, init) => {
      const body = typeof init?.body === 'string' ? (JSON.parse(init.body) as unknown) : undefined
      const one = { path: String(input), headers: init?.headers as Record<string, string>, body }
      asked.push(one)
      const told = answer(one, asked.length)
      return told instanceof Error ? Promise.reject(told) : Promise.resolve(told)
    },
    ...options,
  })
  return { server, asked, slept, standings, session: () => session }
}
