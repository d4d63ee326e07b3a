import type { RefreshAnswer, SessionAnswer } from '../api/types'

/** Who is signed in on this page. It lives in the tab: closing it signs out, and no cookie carries a right. */
export interface Session {
  accessToken: string
  refreshToken: string
  deviceId: string
  user: { id: string; name: string; roles: string[]; place: string }
}

export const LEADER_ROLES = ['community_leader', 'street_leader', 'district_leader']
/** Who follows the queue without leading; everybody else would only be refused. */
const FOLLOWER_ROLES = ['clerk', 'dispatcher', 'centre_director', 'duty_officer']

export function sessionOf(answer: SessionAnswer): Session {
  return {
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token,
    deviceId: answer.device_id,
    user: { id: answer.user.id, name: answer.user.name, roles: answer.user.roles, place: placeOf(answer) },
  }
}

function placeOf(answer: SessionAnswer): string {
  const grant = answer.user.grants[0]
  return grant?.unit_name ?? grant?.cell_name ?? ''
}

export function refreshed(session: Session, answer: RefreshAnswer): Session {
  return {
    ...session,
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token ?? session.refreshToken,
  }
}

/** Read back what an earlier view of this tab stored; anything else that lies there is nobody. */
export function parseSession(text: string | null): Session | null {
  if (text === null) return null
  try {
    const found = JSON.parse(text) as Partial<Session> | null
    const whole =
      typeof found?.accessToken === 'string' &&
      typeof found.refreshToken === 'string' &&
      typeof found.deviceId === 'string' &&
      typeof found.user?.name === 'string' &&
      Array.isArray(found.user.roles)
    return whole ? (found as Session) : null
  } catch {
    return null
  }
}

export function isLeader(session: Session): boolean {
  return session.user.roles.some((role) => LEADER_ROLES.includes(role))
}

export function hasQueue(session: Session): boolean {
  return isLeader(session) || session.user.roles.some((role) => FOLLOWER_ROLES.includes(role))
}
