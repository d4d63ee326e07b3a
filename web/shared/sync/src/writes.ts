import type { RxCollection } from 'rxdb'

/** A number that only grows, for as long as the device is one device; kept where the app's data is kept. */
export interface Counter {
  next(): number | Promise<number>
}

/** A UUID of version 7: it begins with the time it was made at. */
export function uuid7(now = Date.now(), random: (bytes: Uint8Array) => Uint8Array = fill): string {
  const bytes = random(new Uint8Array(16))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, Math.floor(now / 2 ** 32))
  view.setUint32(2, now % 2 ** 32)
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x70)
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80)
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

function fill(bytes: Uint8Array): Uint8Array {
  return crypto.getRandomValues(bytes)
}

/**
 * Gives each write of a person an id of its own, `counter:uuid`: what makes a repeated push a repeat (PU6), and an older
 * write of this device known as older (PU11). Documents that come from the server pass by.
 */
export function stampWrites(collection: RxCollection, counter: Counter): void {
  if (!('w' in collection.schema.jsonSchema.properties)) return // only read, or a notice that is marked as read
  const stamp = async (data: { w?: string }): Promise<void> => {
    data.w = `${await counter.next()}:${uuid7()}`
  }
  collection.preInsert(stamp, false)
  collection.preSave(stamp, false)
}
