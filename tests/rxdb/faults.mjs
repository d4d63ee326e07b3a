// Stands between an RxDB replication and its remote: counts calls, loses requests and replies, holds them at a gate.

export class Line {
  constructor() {
    this.online = true
    this.begun = { pull: 0, push: 0 }
    this.done = { pull: 0, push: 0 }
    this.failed = { pull: 0, push: 0 }
    this.together = { now: 0, most: 0 } // push calls that were open at one time
    this.seen = [] // [kind, checkpoint or ids sent, ids answered]
    this.faults = { pull: [], push: [] }
    this.gates = []
    this.waiting = []
  }

  /** The next calls of `kind` meet these faults, one each: lose_request, lose_reply, hold_request, hold_reply, twice. */
  plan(kind, faults) {
    this.faults[kind].push(...faults)
  }

  /** Let what is held go on, oldest first: everything, or `count` calls. */
  release(count = Infinity) {
    const held = this.gates.splice(0, count)
    held.forEach((open) => open())
    return held.length
  }

  /** Resolves once `stage` (begun, done, failed) of `kind` has reached `count`. */
  until(stage, kind, count) {
    return new Promise((resolve) => {
      this.waiting.push({ ready: () => this[stage][kind] >= count, resolve })
      this.#wake()
    })
  }

  /** Resolves once `count` calls stand at the gate. */
  untilHeld(count) {
    return new Promise((resolve) => {
      this.waiting.push({ ready: () => this.gates.length >= count, resolve })
      this.#wake()
    })
  }

  async call(kind, asked, remote) {
    this.begun[kind] += 1
    this.together.now += kind === 'push' ? 1 : 0
    this.together.most = Math.max(this.together.most, this.together.now)
    this.#wake()
    try {
      const answer = await this.#through(kind, remote)
      this.seen.push([kind, asked, answer.documents ? answer.documents.map((doc) => doc.id) : answer.map((doc) => doc.id)])
      this.done[kind] += 1
      return answer
    } catch (error) {
      this.failed[kind] += 1
      throw error
    } finally {
      this.together.now -= kind === 'push' ? 1 : 0
      this.#wake()
    }
  }

  async #through(kind, remote) {
    if (!this.online) throw new Error('no network')
    const fault = this.faults[kind].shift()
    if (fault === 'lose_request') throw new Error('request lost')
    if (fault === 'hold_request') await this.#gate()
    let answer = await remote()
    if (fault === 'twice') answer = await remote()
    if (fault === 'lose_reply') throw new Error('reply lost')
    if (fault === 'hold_reply') await this.#gate()
    return answer
  }

  #gate() {
    return new Promise((open) => {
      this.gates.push(open)
      this.#wake()
    })
  }

  #wake() {
    this.waiting = this.waiting.filter((waiter) => {
      if (!waiter.ready()) return true
      waiter.resolve()
      return false
    })
  }
}
