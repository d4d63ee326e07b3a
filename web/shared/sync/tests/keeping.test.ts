import { addRxPlugin, createRxDatabase } from 'rxdb/plugins/core'
import { RxDBLocalDocumentsPlugin } from 'rxdb/plugins/local-documents'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { expect, test } from 'vitest'
import { counterIn, memoryIn } from '../src/keeping.ts'

// two tabs are shown in a browser: tests/browser/test_phone_store.py

addRxPlugin(RxDBLocalDocumentsPlugin)

const storage = getRxStorageMemory()

function opened() {
  return createRxDatabase({ name: 'phone', storage, localDocuments: true, multiInstance: false })
}

test('a text outlives the database that was open', async () => {
  const before = await opened()
  expect(await memoryIn(before).get('epochs')).toBeNull()
  await memoryIn(before).set('epochs', '{"epoch":1}')
  await memoryIn(before).set('epochs', '{"epoch":2}')
  await before.close()
  const after = await opened()
  expect(await memoryIn(after).get('epochs')).toBe('{"epoch":2}')
  await after.remove()
})

test('no number is drawn twice, at once or after a restart', async () => {
  const before = await opened()
  const counter = counterIn(before)
  const drawn = await Promise.all(Array.from({ length: 100 }, () => counter.next()))
  expect([...drawn].sort((one, other) => one - other)).toEqual(Array.from({ length: 100 }, (_, n) => n + 1))
  await before.close()
  const after = await opened()
  expect(await counterIn(after).next()).toBe(101)
  await after.remove()
})
