// A toy master inside the client's own process: it answers as a scenario asks it to, wrong on purpose where that is
// what is to be shown.

const same = (a, b) => JSON.stringify(Object.entries(a ?? {}).sort()) === JSON.stringify(Object.entries(b ?? {}).sort())

export class Toy {
  constructor() {
    this.seq = 0
    this.rows = new Map()
    this.pulling = { kind: 'log', sizes: null }
    this.pushing = { kind: 'accept' }
  }

  put(doc) {
    this.seq += 1
    this.rows.set(doc.id, { seq: this.seq, doc: { _deleted: false, ...doc } })
  }

  pull(checkpoint, batchSize) {
    const from = checkpoint?.seq ?? 0
    const due = [...this.rows.values()].filter((row) => row.seq > from).sort((a, b) => a.seq - b.seq)
    if (this.pulling.kind === 'window') {
      // the wrong server: looks at the next `width` numbers of everybody and filters them afterwards
      const upto = Math.min(from + this.pulling.width, this.seq)
      const mine = due.filter((row) => row.seq <= upto && row.doc.mine)
      return { documents: mine.map((row) => row.doc), checkpoint: { seq: upto } }
    }
    const size = this.pulling.sizes?.length ? this.pulling.sizes.shift() : (this.pulling.size ?? batchSize)
    const page = due.slice(0, size)
    const checkpointKeys = page.length ? { seq: page.at(-1).seq } : { seq: from }
    if (this.pulling.kind === 'forgetful' && from === 0) checkpointKeys.half = page.at(-1)?.seq ?? 0
    return { documents: page.map((row) => row.doc), checkpoint: checkpointKeys }
  }

  push(rows) {
    const { kind } = this.pushing
    if (kind === 'throw_on' && rows.some((row) => row.newDocumentState.id === this.pushing.id)) {
      throw new Error('row refused')
    }
    if (kind === 'answer') return this.pushing.documents
    if (kind === 'silent') return []
    return rows.flatMap((row) => {
      const sent = row.newDocumentState
      const current = this.rows.get(sent.id)?.doc
      if (kind === 'compare' && current && !same(current, row.assumedMasterState)) return [current]
      const merged = kind === 'merge' && current ? mergeFields(row.assumedMasterState, sent, current) : sent
      this.put(kind === 'merge' ? { ...merged, rev: (current?.rev ?? 0) + 1 } : merged)
      return kind === 'merge' ? [this.rows.get(sent.id).doc] : []
    })
  }
}

function mergeFields(base, mine, theirs) {
  const merged = { ...theirs }
  for (const [field, value] of Object.entries(mine)) {
    if (JSON.stringify(value) !== JSON.stringify(base?.[field])) merged[field] = value
  }
  return merged
}
