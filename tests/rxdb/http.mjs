// The whole glue a third party needs: two handlers over HTTP. No retry, no repair, nothing clever.

export class District {
  constructor(base) {
    this.base = base
    this.token = null
    this.deviceId = null
  }

  async login(username, password, device) {
    const answer = await this.#post('/api/v1/sessions', { username, password, device: device ?? { name: 'rxdb' } })
    this.token = answer.access_token
    this.deviceId = answer.device_id
    return answer
  }

  pull(collection, checkpoint, limit) {
    return this.#post(`/sync/v1/${collection}/pull`, { checkpoint: checkpoint ?? null, limit })
  }

  push(collection, rows) {
    return this.#post(`/sync/v1/${collection}/push`, rows)
  }

  /** The collection's published schema, as RxDB wants it. */
  async schema(collection) {
    const answer = await fetch(`${this.base}/sync/v1/schema/${collection}`)
    if (!answer.ok) throw new Error(`schema of ${collection}: ${answer.status}`)
    const { properties, required = [], $defs } = await answer.json()
    delete properties._deleted
    properties.id = { type: 'string', maxLength: 100 }
    return {
      version: 0,
      primaryKey: 'id',
      type: 'object',
      properties,
      required: required.filter((name) => name !== '_deleted'),
      ...($defs ? { $defs } : {}),
    }
  }

  async #post(path, body) {
    const headers = { 'content-type': 'application/json' }
    if (this.token) headers.authorization = `Bearer ${this.token}`
    const answer = await fetch(this.base + path, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text.slice(0, 300)}`)
    return JSON.parse(text)
  }
}
