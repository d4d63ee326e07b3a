import { onScopeDispose, ref } from 'vue'
import { useSession } from '../session/useSession'
import { backoff, pollEvery } from './backoff'

/**
 * Calls `refresh` whenever the server pokes, when the page comes back into view or the network returns, and by poll
 * in between. A poke carries nothing; what changed is asked for.
 */
export function useLive(refresh: () => void) {
  const { sendAs } = useSession()
  const streaming = ref(false)
  let source: EventSource | null = null
  let attempt = 0
  let retry: number | undefined
  let poll: number | undefined
  let ended = false

  async function open(): Promise<void> {
    const outcome = await sendAs<{ ticket: string }>('/sync/v1/ticket', { method: 'POST', body: {} })
    if (ended) return
    if (!outcome.ok) {
      later()
      return
    }
    source = new EventSource(`/sync/v1/stream?ticket=${encodeURIComponent(outcome.data.ticket)}`)
    source.addEventListener('open', () => {
      attempt = 0
      streaming.value = true
      schedulePoll()
      refresh()
    })
    source.addEventListener('RESYNC', refresh)
    source.addEventListener('message', refresh) // a poke without a name is a poke
    source.addEventListener('error', () => {
      // a ticket works once, so the browser's own reconnect would be refused for ever
      close()
      later()
    })
  }

  function close(): void {
    source?.close()
    source = null
    streaming.value = false
    schedulePoll()
  }

  function later(): void {
    window.clearTimeout(retry)
    if (!ended) retry = window.setTimeout(() => void open(), backoff(attempt++, Math.random()))
  }

  function schedulePoll(): void {
    window.clearInterval(poll)
    if (!ended) poll = window.setInterval(refresh, pollEvery(streaming.value))
  }

  function onReturn(): void {
    if (document.visibilityState !== 'visible') return
    refresh()
    if (!source) {
      attempt = 0
      later()
    }
  }

  document.addEventListener('visibilitychange', onReturn)
  window.addEventListener('online', onReturn)
  schedulePoll()
  void open()

  onScopeDispose(() => {
    ended = true
    close()
    window.clearTimeout(retry)
    window.clearInterval(poll)
    document.removeEventListener('visibilitychange', onReturn)
    window.removeEventListener('online', onReturn)
  })

  return { streaming }
}
