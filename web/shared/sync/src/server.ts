import { pause, retryAfter, Sleeper } from './waiting.ts'
import type { Problem } from './wire.ts'
import { SCHEMA } from './wire.ts'

export interface Session {
  accessToken: string
  refreshToken: string
  deviceId: string
}

/** Where the session is kept between two starts of the app. */
export interface SessionKeeper {
  read(): Session | null
  write(session: Session | null): void
}

/** `online`: as far as is known. `offline`, `busy`: waiting to try again. The others wait for a person. */
export type Standing = 'online' | 'offline' | 'busy' | 'signed_out' | 'too_old'

export interface ServerOptions {
  base: string
  session: SessionKeeper
  schema?: number
  onStanding?: (standing: Standing) => void
  /** The device was stopped (PU13): hand in what it holds, then empty it. */
  onWipe?: () => void
  fetch?: typeof fetch
  random?: () => number
  now?: () => number
  sleeper?: Sleeper
}

/** The server's answer to a request as a whole; a row never has one (PU3). */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly problem: Problem = {},
  ) {
    super(`${status} ${code}`)
  }
}

/** What a request says: given, or made anew for each attempt; `lost` when no answer to the one before came whole. */
export type Body = object | ((lost: boolean) => object)

/** The replication was stopped while a request waited. */
export class Stopped extends Error {}

/** Nobody looks at the phone for a night; then it may be worth asking again without a person. */
const LONG_MS = 60 * 60_000

/**
 * A district's server over HTTP. A request returns only what became of it: while the network is away, the server has no
 * time, nobody is signed in or the app is too old it waits here, since RxDB itself would ask every five seconds for ever.
 */
export class Server {
  readonly sleeper: Sleeper
  readonly schema: number
  wiping = false
  private standing: Standing = 'online'
  private refreshing: Promise<void> | null = null

  constructor(private readonly options: ServerOptions) {
    this.sleeper = options.sleeper ?? new Sleeper()
    this.schema = options.schema ?? SCHEMA
  }

  get session(): Session | null {
    return this.options.session.read()
  }

  /** Signs in on this device; `wipe` says that the device was stopped. */
  async signIn(username: string, password: string, device: { id?: string; name: string }): Promise<Session> {
    const answer = await this.fetch('/api/v1/sessions', 'POST', { username, password, device })
    if (!answer.ok) throw await refusal(answer)
    const told = (await answer.json()) as Tokens
    const session = { accessToken: told.access_token, refreshToken: told.refresh_token, deviceId: told.device_id }
    this.options.session.write(session)
    if (told.wipe) this.stopDevice()
    this.sleeper.wake()
    return session
  }

  /** The answer's JSON. Throws `Refused` for what trying again does not help, `Stopped` after the end. */
  async post<T extends object>(path: string, body: Body): Promise<T> {
    return this.ask(path, 'POST', async (answer) => (await answer.json()) as T, body)
  }

  /** The answer as it comes, for a stream. */
  async stream(path: string, signal: AbortSignal): Promise<Response> {
    return this.ask(path, 'GET', (answer) => Promise.resolve(answer), undefined, signal)
  }

  now(): number {
    return (this.options.now ?? Date.now)()
  }

  /** What `read` makes of the answer; one that breaks off while it is read has not come. */
  private async ask<T extends object>(
    path: string,
    method: 'GET' | 'POST',
    read: (answer: Response) => Promise<T>,
    body?: Body,
    signal?: AbortSignal,
  ): Promise<T> {
    let lost = false
    for (let attempt = 0; ; attempt += 1) {
      if (this.sleeper.ended) throw new Stopped()
      const token = this.session?.accessToken ?? null
      const told: object | undefined = typeof body === 'function' ? body(lost) : body
      const answer: Response | null = await this.fetch(path, method, told, token, signal).catch(() => null)
      if (signal?.aborted) throw new Stopped()
      lost = answer === null
      if (answer === null) await this.rest('offline', pause(attempt, this.chance()))
      else if (answer.status === 429 || answer.status === 503) {
        const asked = retryAfter(answer.headers.get('retry-after'), this.now())
        await this.rest('busy', pause(attempt, this.chance(), asked))
      } else if (answer.status >= 500) await this.rest('busy', pause(attempt, this.chance()))
      else if (answer.status === 401) {
        await this.renew(token, await refusal(answer))
        // a token refused as soon as it was made: something is wrong that asking faster does not mend
        if (attempt > 1) await this.rest('busy', pause(attempt, this.chance()))
      }
      else if (answer.status === 426) await this.rest('too_old', LONG_MS)
      else {
        if (answer.headers.get('wangge-wipe') === 'true') this.stopDevice()
        if (!answer.ok) {
          this.stand('online')
          throw await refusal(answer)
        }
        const whole = await read(answer).catch(() => null)
        if (whole !== null) {
          this.stand('online')
          return whole
        }
        lost = true
        await this.rest('offline', pause(attempt, this.chance()))
      }
    }
  }

  private chance(): number {
    return (this.options.random ?? Math.random)()
  }

  private stand(standing: Standing): void {
    if (standing === this.standing) return
    this.standing = standing
    this.options.onStanding?.(standing)
  }

  private async rest(standing: Standing, ms: number): Promise<void> {
    this.stand(standing)
    await this.sleeper.sleep(ms)
  }

  private stopDevice(): void {
    if (this.wiping) return
    this.wiping = true
    this.options.onWipe?.()
  }

  /** A spent token is exchanged once, however many requests found it spent. */
  private async renew(spent: string | null, refused: Refused): Promise<void> {
    if (refused.problem.wipe === true) {
      this.stopDevice()
      throw refused // the token still hands in what the device holds, and does nothing else
    }
    if (spent !== (this.session?.accessToken ?? null)) return
    this.refreshing ??= this.refresh().finally(() => {
      this.refreshing = null
    })
    await this.refreshing
  }

  private async refresh(): Promise<void> {
    const session = this.session
    if (session === null) return this.rest('signed_out', LONG_MS)
    const answer = await this.fetch('/api/v1/sessions/refresh', 'POST', {
      refresh_token: session.refreshToken,
    }).catch(() => null)
    if (answer === null) return this.rest('offline', pause(0, this.chance()))
    if (answer.ok) {
      const told = (await answer.json()) as Tokens
      this.options.session.write({
        ...session,
        accessToken: told.access_token,
        refreshToken: told.refresh_token,
      })
      if (told.wipe) this.stopDevice()
      return
    }
    const refused = await refusal(answer)
    if (refused.problem.wipe === true) this.stopDevice()
    // kept, not forgotten: it is the proof of which device this is when its person signs in again
    await this.rest(answer.status < 500 && answer.status !== 429 ? 'signed_out' : 'busy', this.longOrShort(answer))
  }

  private longOrShort(answer: Response): number {
    const over = answer.status < 500 && answer.status !== 429
    return over ? LONG_MS : pause(0, this.chance(), retryAfter(answer.headers.get('retry-after'), this.now()))
  }

  private fetch(
    path: string,
    method: 'GET' | 'POST',
    body?: unknown,
    token: string | null = null,
    signal?: AbortSignal,
  ): Promise<Response> {
    const headers: Record<string, string> = { 'wangge-schema': String(this.schema) }
    if (token !== null) headers['authorization'] = `Bearer ${token}`
    const request: RequestInit = { method, headers, cache: 'no-store', credentials: 'omit' }
    if (body !== undefined) {
      headers['content-type'] = 'application/json'
      request.body = JSON.stringify(body)
    }
    if (signal) request.signal = signal
    return (this.options.fetch ?? fetch)(this.options.base + path, request)
  }
}

interface Tokens {
  access_token: string
  refresh_token: string
  device_id: string
  wipe?: boolean
}

async function refusal(answer: Response): Promise<Refused> {
  const problem = (await answer.json().catch(() => ({}))) as Problem
  return new Refused(answer.status, problem.code ?? 'error', problem)
}
