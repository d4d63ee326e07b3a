// Seals captures as the phone app does, with its own module: {to, captures} on stdin → {sign_key, file} on stdout.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'

const web = new URL('../../web/', import.meta.url)
const ts = createRequire(new URL('package.json', web))('typescript')
const source = await readFile(new URL('shared/sync/sealed.ts', web), 'utf8')
const { outputText } = ts.transpileModule(source, {
  compilerOptions: { target: 'ESNext', module: 'ESNext' },
})
const sealed = await import(`data:text/javascript;base64,${Buffer.from(outputText).toString('base64')}`)

const { to, captures } = JSON.parse(await text(process.stdin))
const signer = await sealed.makeSigner()
const bundles = []
for (const capture of captures) bundles.push(await sealed.seal(capture, signer, to))
process.stdout.write(JSON.stringify({ sign_key: signer.public, file: sealed.toFile(bundles) }))
