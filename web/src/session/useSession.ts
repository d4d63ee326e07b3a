import { computed, ref } from 'vue'
import { send, type Call, type Outcome } from '../api/http'
import type { RefreshAnswer, SessionAnswer } from '../api/types'
import { parseSession, refreshed, sessionOf, type Session } from './session'

const KEY = 'wangge.session'
const DEVICE_KEY = 'wangge.device'

const session = ref<Session | null>(parseSession(sessionStorage.getItem(KEY)))
const lapsed = ref(false)
let refreshing: Promise<boolean> | null = null

function keep(next: Session | null): void {
  session.value = next
  if (next) sessionStorage.setItem(KEY, JSON.stringify(next))
  else sessionStorage.removeItem(KEY)
}

async function signIn(username: string, password: string): Promise<Outcome<SessionAnswer>> {
  const known = localStorage.getItem(DEVICE_KEY)
  const device = known ? { id: known, name: 'web' } : { name: 'web' }
  const outcome = await send<SessionAnswer>('/api/v1/sessions', { method: 'POST', body: { username, password, device } })
  if (outcome.ok) {
    lapsed.value = false
    localStorage.setItem(DEVICE_KEY, outcome.data.device_id)
    keep(sessionOf(outcome.data))
  }
  return outcome
}

async function signOut(): Promise<void> {
  const token = session.value?.accessToken
  keep(null)
  if (token) await send('/api/v1/sessions/current', { method: 'DELETE', token })
}

/** Renew the access token; several requests refused at once share one renewal, since a refresh token works once. */
function renew(): Promise<boolean> {
  refreshing ??= renewOnce().finally(() => {
    refreshing = null
  })
  return refreshing
}

async function renewOnce(): Promise<boolean> {
  const before = session.value
  if (!before) return false
  const body = { refresh_token: before.refreshToken }
  const outcome = await send<RefreshAnswer>('/api/v1/sessions/refresh', { method: 'POST', body })
  if (outcome.ok && outcome.data.wipe) {
    // the device was stopped: this page holds nothing that is still to be handed in
    localStorage.removeItem(DEVICE_KEY)
    lapsed.value = true
    keep(null)
    return false
  }
  if (outcome.ok) {
    keep(refreshed(before, outcome.data))
    return true
  }
  if (outcome.kind !== 'offline' && outcome.kind !== 'server' && outcome.kind !== 'busy') {
    lapsed.value = true
    keep(null)
  }
  return false
}

/** Send as the signed-in user. An expired token is renewed once, unseen. */
async function sendAs<T>(path: string, call: Call = {}): Promise<Outcome<T>> {
  const outcome = await send<T>(path, { ...call, token: session.value?.accessToken ?? null })
  if (outcome.ok || outcome.kind !== 'unauthorised' || !(await renew())) return outcome
  return send<T>(path, { ...call, token: session.value?.accessToken ?? null })
}

export function useSession() {
  return { session: computed(() => session.value), lapsed, signIn, signOut, sendAs }
}
