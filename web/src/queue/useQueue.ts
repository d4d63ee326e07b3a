import { computed, onScopeDispose, ref, shallowRef } from 'vue'
import type { FailureKind, Outcome } from '../api/http'
import type { Coming, Escalation, EscalationAct, EscalationList } from '../api/types'
import { useLive } from '../live/useLive'
import { useSession } from '../session/useSession'
import { groups } from './order'
import { reconcile } from './reconcile'

/** The queue as shown: kept up to date, still while it is read. `mayMove` says whether the list may change places now. */
export function useQueue(mayMove: () => boolean) {
  const { sendAs } = useSession()
  const shown = shallowRef<Escalation[]>([])
  const fetched = shallowRef<Escalation[]>([])
  const placed = shallowRef(new Map<string, Escalation['group']>())
  const tomorrow = shallowRef<Coming[]>([])
  const loaded = ref(false)
  const failure = ref<FailureKind | null>(null)
  const demo = ref(false)
  const received = shallowRef({ now: Date.now(), at: performance.now() })
  const now = ref(Date.now())
  let asking: Promise<void> | null = null
  let again = false
  let moveNow = false

  function refresh(): void {
    if (asking) {
      again = true // a poke during an answer may be about what that answer missed
      return
    }
    asking = load().finally(() => {
      asking = null
      if (again) {
        again = false
        refresh()
      }
    })
  }

  async function load(): Promise<void> {
    const outcome = await sendAs<EscalationList>('/api/v1/escalations')
    if (!outcome.ok) {
      failure.value = outcome.kind
      return
    }
    failure.value = null
    demo.value = outcome.data.demo
    received.value = { now: outcome.data.now, at: performance.now() }
    tick()
    fetched.value = outcome.data.items
    if (!loaded.value || moveNow || mayMove()) show()
    else shown.value = reconcile(shown.value, fetched.value).rows
    tomorrow.value = outcome.data.tomorrow
    loaded.value = true
  }

  /** Let the list move: everything fetched is shown in its place. */
  function show(): void {
    moveNow = false
    shown.value = fetched.value
    placed.value = new Map(fetched.value.map((item) => [item.id, item.group]))
  }

  async function act(item: Escalation, body: EscalationAct): Promise<Outcome<unknown>> {
    const outcome = await sendAs(`/api/v1/escalations/${encodeURIComponent(item.id)}/acts`, { method: 'POST', body })
    // whoever acts wants to see the row go where it now belongs
    if (outcome.ok) moveNow = true
    if (outcome.ok || outcome.kind === 'conflict' || outcome.kind === 'missing') refresh()
    return outcome
  }

  async function advance(workingDays: number): Promise<Outcome<unknown>> {
    const outcome = await sendAs('/api/v1/demo/advance', { method: 'POST', body: { working_days: workingDays } })
    if (outcome.ok) refresh()
    return outcome
  }

  function tick(): void {
    now.value = received.value.now + (performance.now() - received.value.at)
  }

  const ticking = window.setInterval(tick, 20_000)
  onScopeDispose(() => {
    window.clearInterval(ticking)
  })
  const { streaming } = useLive(refresh)
  refresh()

  // rows stand where they stood when last placed; their words are those of now
  const grouped = computed(() => {
    const current = new Map(shown.value.map((item) => [item.id, item]))
    return groups(shown.value.map((item) => ({ ...item, group: placed.value.get(item.id) ?? item.group }))).map((group) => ({
      key: group.key,
      items: group.items.map((item) => current.get(item.id) ?? item),
    }))
  })
  const waiting = computed(() => reconcile(shown.value, fetched.value, placed.value))
  return {
    grouped,
    tomorrow,
    fresh: computed(() => waiting.value.fresh),
    gone: computed(() => waiting.value.gone),
    loaded,
    failure,
    demo,
    now,
    streaming,
    refresh,
    show,
    act,
    advance,
  }
}
