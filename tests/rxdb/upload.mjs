// One file by an unmodified tus-js-client. Takes one JSON object on standard input, prints one on standard output.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as tus from 'tus-js-client'

const asked = JSON.parse(readFileSync(0, 'utf8'))
const bytes = readFileSync(asked.path)
const told = { retries: 0, statuses: [], url: null, error: null }
const metadata = { file_id: asked.file_id, sha256: createHash('sha256').update(bytes).digest('hex'), filename: 'IMG_0001.jpg' }

const upload = new tus.Upload(bytes, {
  endpoint: asked.endpoint,
  metadata,
  headers: { Authorization: `Bearer ${asked.token}` },
  retryDelays: Array(60).fill(10),
  chunkSize: asked.chunk ?? Infinity,
  uploadDataDuringCreation: asked.at_once ?? false,
  overridePatchMethod: asked.by_post ?? false,
  onAfterResponse: (_, answer) => { told.statuses.push(answer.getStatus()) },
  onShouldRetry: (error, attempt, options) => {
    const status = error.originalResponse ? error.originalResponse.getStatus() : 0
    told.retries += 1
    return status === 0 || status === 409 || status === 423 || status >= 500
  },
  onError: (error) => finish(String(error)),
  onSuccess: () => finish(null),
})

function finish (error) {
  told.error = error
  told.url = upload.url
  process.stdout.write(JSON.stringify(told) + '\n', () => process.exit(0))
}

upload.start()
