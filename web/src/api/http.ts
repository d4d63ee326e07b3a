import type { Problem } from './types'

/** What became of a request, in the terms a view has a state for. */
export type Outcome<T> =
  | { ok: true; data: T }
  | { ok: false; kind: FailureKind; problem: Problem }

export type FailureKind = 'offline' | 'unauthorised' | 'forbidden' | 'missing' | 'conflict' | 'refused' | 'busy' | 'server'

export interface Call {
  method?: 'GET' | 'POST' | 'DELETE'
  body?: unknown
  token?: string | null
}

export function kindOf(status: number): FailureKind {
  if (status === 401) return 'unauthorised'
  if (status === 403) return 'forbidden'
  if (status === 404) return 'missing'
  if (status === 409) return 'conflict'
  if (status === 429 || status === 503) return 'busy'
  return status < 500 ? 'refused' : 'server'
}

export async function send<T>(path: string, call: Call = {}): Promise<Outcome<T>> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (call.token) headers['Authorization'] = `Bearer ${call.token}`
  const request: RequestInit = { method: call.method ?? 'GET', headers, cache: 'no-store', credentials: 'omit' }
  if (call.body !== undefined) {
    headers['Content-Type'] = 'application/json'
    request.body = JSON.stringify(call.body)
  }
  let response: Response
  try {
    response = await fetch(path, request)
  } catch {
    return { ok: false, kind: 'offline', problem: {} }
  }
  const data = await readJson(response)
  if (response.ok) return { ok: true, data: data as T }
  return { ok: false, kind: kindOf(response.status), problem: (data ?? {}) as Problem }
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    return null // no body, or a page of a proxy in between
  }
}
