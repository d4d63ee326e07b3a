import type { RxJsonSchema } from 'rxdb'
import type { Doc } from './wire.ts'

interface Published {
  properties: Record<string, unknown>
  required?: string[]
}

/** A published schema as RxDB wants it. Its version is that of the documents, counted from 0 as RxDB does. */
export function rxSchema(published: Published, version: number): RxJsonSchema<Doc> {
  const properties = Object.fromEntries(Object.entries(published.properties).filter(([name]) => name !== '_deleted'))
  return {
    version: version - 1,
    primaryKey: 'id',
    type: 'object',
    properties: { ...properties, id: { type: 'string', maxLength: 100 } },
    required: (published.required ?? []).filter((name) => name !== '_deleted'),
  } as RxJsonSchema<Doc>
}

/** Versions only add, so a document of an older one is one of the newer; what is missing comes by the next pull (EV5). */
export function rxMigrations(version: number): Record<number, (doc: Doc) => Doc> {
  return Object.fromEntries(Array.from({ length: version - 1 }, (_, step) => [step + 1, (doc: Doc) => doc]))
}
