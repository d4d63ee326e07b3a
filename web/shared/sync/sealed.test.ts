// @vitest-environment node
import { describe, expect, it } from 'vitest'
import {
  binding,
  fromBase64url,
  makeSigner,
  schedule,
  seal,
  toBase64url,
  toFile,
  type Bundle,
  type Capture,
  type DistrictKey,
  type Signer,
} from './sealed'

type Bytes = Uint8Array<ArrayBuffer>

const capture: Capture = {
  author: '00000000-0000-7000-8000-000000000001',
  device: 'phone-1',
  counter: 41,
  captured_at: 1_799_999_000_000,
  collection: 'cases',
  document: { id: '01998d6f-3c00-7000-8000-0000000000a1', kind: 'dispute', title: '三楼漏水', w: '41:x' },
}

interface District extends DistrictKey {
  privateKey: CryptoKey
}

async function idOf(raw: Bytes): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', raw)).toString('hex').slice(0, 16)
}

async function makeDistrict(district = '410399'): Promise<District> {
  const pair = (await crypto.subtle.generateKey({ name: 'X25519' }, false, ['deriveBits'])) as CryptoKeyPair
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
  return { district, key: await idOf(raw), public: toBase64url(raw), privateKey: pair.privateKey }
}

async function open(bundle: Bundle, district: District): Promise<string> {
  const sealed = fromBase64url(bundle.sealed)
  const encapsulated = sealed.slice(0, 32)
  const theirs = await crypto.subtle.importKey('raw', encapsulated, { name: 'X25519' }, false, [])
  const shared = await crypto.subtle.deriveBits({ name: 'X25519', public: theirs }, district.privateKey, 256)
  const context = new Uint8Array([...encapsulated, ...fromBase64url(district.public)])
  const info = binding(bundle.district, bundle.key)
  const { key, nonce } = await schedule(new Uint8Array(shared), context, info)
  const aes = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt'])
  const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: nonce }, aes, sealed.slice(32))
  return new TextDecoder().decode(plain)
}

describe('a sealed capture', () => {
  it('opens with the key of the district, and says who signed it', async () => {
    const [district, signer] = [await makeDistrict(), await makeSigner()]
    const plain = await open(await seal(capture, signer, district), district)
    const inner = JSON.parse(plain) as { statement: string; signer: string; signature: string }
    expect(JSON.parse(inner.statement)).toEqual(capture)
    expect(inner.signer).toBe(signer.id)
    const bound = binding(district.district, district.key)
    const message = new Uint8Array([...bound, 0, ...new TextEncoder().encode(inner.statement)])
    expect(await verifies(signer, inner.signature, message)).toBe(true)
    message.set([0x21], message.length - 2)
    expect(await verifies(signer, inner.signature, message)).toBe(false)
  })

  it('is opened by no other district', async () => {
    const [district, other] = [await makeDistrict(), await makeDistrict('990101')]
    const bundle = await seal(capture, await makeSigner(), district)
    await expect(open(bundle, other)).rejects.toThrow()
    await expect(open({ ...bundle, district: '990101' }, district)).rejects.toThrow()
  })

  it('shows nothing but the district and its length in steps', async () => {
    const [district, signer] = [await makeDistrict(), await makeSigner()]
    const short = await seal(capture, signer, district)
    const document = { ...capture.document, title: '三楼漏水到二楼' }
    const longer = await seal({ ...capture, document }, signer, district)
    expect(Object.keys(short).sort()).toEqual(['district', 'key', 'sealed', 'wangge_sealed'])
    expect(longer.sealed).toHaveLength(short.sealed.length)
    expect(longer.sealed).not.toBe((await seal(capture, signer, district)).sealed)
  })

  it('is not made for a key that is not the one it is called', async () => {
    const [district, signer] = [await makeDistrict(), await makeSigner()]
    await expect(seal(capture, signer, { ...district, key: '0'.repeat(16) })).rejects.toThrow('not the one')
  })

  it('is signed by a key that nobody can read out', async () => {
    const signer = await makeSigner()
    expect(signer.privateKey.extractable).toBe(false)
    expect(signer.id).toBe(await idOf(fromBase64url(signer.public)))
  })
})

it('the key schedule is that of RFC 9180', async () => {
  // from another implementation: AES-256-GCM, base mode
  const { key, nonce } = await schedule(
    new Uint8Array(32).fill(1),
    new Uint8Array(64).fill(2),
    new TextEncoder().encode('info'),
  )
  expect(Buffer.from(key).toString('hex')).toBe('d9d1a182fba1ce9b1eac60ee21296fe39a7d34d15ddb3af243607b839cde8505')
  expect(Buffer.from(nonce).toString('hex')).toBe('08c96be75a9c78126bf78da6')
})

it('a file has one bundle a line', async () => {
  const bundle: Bundle = { wangge_sealed: 1, district: '1', key: 'k', sealed: 's' }
  expect(toFile([bundle, bundle]).split('\n').filter(Boolean).map((line) => JSON.parse(line) as Bundle)).toEqual([
    bundle,
    bundle,
  ])
})

it('base64url goes both ways, however long', () => {
  for (const length of [0, 1, 2, 3, 32, 0x2001, 70_000]) {
    const value = Uint8Array.from({ length }, (_, place) => (place * 7) % 256)
    expect(Buffer.from(fromBase64url(toBase64url(value))).equals(value)).toBe(true)
    expect(toBase64url(value)).toBe(Buffer.from(value).toString('base64url'))
  }
})

async function verifies(signer: Signer, signature: string, message: Bytes): Promise<boolean> {
  const key = await crypto.subtle.importKey('raw', fromBase64url(signer.public), { name: 'Ed25519' }, false, ['verify'])
  return crypto.subtle.verify({ name: 'Ed25519' }, key, fromBase64url(signature), message)
}
