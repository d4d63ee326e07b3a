import type { Server } from './server.ts'
import { pause, Sleeper } from './waiting.ts'
import type { CollectionName } from './wire.ts'

/** Null: every collection may have news. */
export type Poke = CollectionName[] | null

export interface PokeOptions {
  onPoke: (collections: Poke) => void
  /** Between two polls, in ms, while no stream pokes, and while one does. */
  pollMs?: number
  pollStreamingMs?: number
  random?: () => number
}

const POLL_MS = 60_000
const POLL_STREAMING_MS = 300_000

/**
 * Says when to pull (ES1): by the server's stream while it is open, opened with a ticket so that no token stands in an
 * address, and by poll as well, since a stream that has died in a proxy looks like one on which nothing happens.
 */
export class Pokes {
  private readonly sleeper = new Sleeper()
  private readonly abort = new AbortController()
  private poll: ReturnType<typeof setTimeout> | undefined
  streaming = false

  constructor(
    private readonly server: Server,
    private readonly options: PokeOptions,
  ) {}

  start(): void {
    this.schedule()
    void this.listen()
  }

  stop(): void {
    clearTimeout(this.poll)
    this.abort.abort()
    this.sleeper.end()
  }

  /** The app is looked at again, or the network is back. */
  wake(): void {
    this.options.onPoke(null)
    this.sleeper.wake()
  }

  private schedule(): void {
    clearTimeout(this.poll)
    if (this.sleeper.ended) return
    const every = this.streaming
      ? (this.options.pollStreamingMs ?? POLL_STREAMING_MS)
      : (this.options.pollMs ?? POLL_MS)
    this.poll = setTimeout(() => {
      this.options.onPoke(null)
      this.schedule()
    }, every)
  }

  private async listen(): Promise<void> {
    for (let attempt = 0; !this.sleeper.ended; attempt += 1) {
      let asked: number | null = null
      try {
        const { ticket } = await this.server.post<{ ticket: string }>('/sync/v1/ticket', {})
        const path = `/sync/v1/stream?ticket=${encodeURIComponent(ticket)}`
        const answer = await this.server.stream(path, this.abort.signal)
        this.turn(true)
        for await (const event of eventsOf(answer)) {
          attempt = 0
          asked = event.retry ?? asked
          if (event.name === 'RESYNC') this.options.onPoke(pokeOf(event.data))
        }
      } catch {
        // a stream may end at any time and for any reason: the next is opened, and the poll goes on
      }
      this.turn(false)
      await this.sleeper.sleep(asked ?? pause(attempt, (this.options.random ?? Math.random)()))
    }
  }

  private turn(streaming: boolean): void {
    this.streaming = streaming
    this.schedule()
  }
}

function pokeOf(data: string): Poke {
  try {
    return (JSON.parse(data) as { collections: Poke }).collections
  } catch {
    return null
  }
}

export interface StreamEvent {
  name: string
  data: string
  retry: number | null
}

/** Server-sent events of an answer, as they come. */
export async function* eventsOf(answer: Response): AsyncGenerator<StreamEvent> {
  const reader = answer.body?.getReader()
  if (reader === undefined) return
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    rest += decoder.decode(value, { stream: true }).replace(/\r\n?/g, '\n')
    const blocks = rest.split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) yield eventOf(block)
  }
}

function eventOf(block: string): StreamEvent {
  const event: StreamEvent = { name: 'message', data: '', retry: null }
  for (const line of block.split('\n')) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? []
    if (field === 'event') event.name = value ?? ''
    if (field === 'data') event.data += value ?? ''
    if (field === 'retry' && /^\d+$/.test(value ?? '')) event.retry = Number(value)
  }
  return event
}
