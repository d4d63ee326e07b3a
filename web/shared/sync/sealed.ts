/**
 * Capturing without reading: what is sealed here only the district can open (rules SE of sync/PROTOCOL.md).
 *
 * A phone keeps two things outside of what is locked: the district's public key, as `hello` told it, and a signing key of
 * its own whose private half cannot be read out. With these it goes on writing when its PIN is lost or its lease is over.
 * HPKE is RFC 9180, base mode, one shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
 */

export interface DistrictKey {
  district: string
  key: string
  public: string
}

/** Kept as it is in IndexedDB: a `CryptoKey` that cannot be exported survives there. */
export interface Signer {
  id: string
  public: string
  privateKey: CryptoKey
}

export interface Capture {
  author: string
  device: string
  /** the counter of `document.w` */
  counter: number
  captured_at: number
  collection: 'cases' | 'entries' | 'visits' | 'files'
  document: Record<string, unknown>
}

export interface Bundle {
  wangge_sealed: 1
  district: string
  key: string
  sealed: string
}

type Bytes = Uint8Array<ArrayBuffer>

const VERSION = 1
const BLOCK = 512
const NONE = new Uint8Array(0)
const KEM = join(text('KEM'), new Uint8Array([0x00, 0x20]))
const HPKE = join(text('HPKE'), new Uint8Array([0x00, 0x20, 0x00, 0x01, 0x00, 0x02]))

/** A signing key for this phone. Tell `public` at `hello` while somebody is signed in: else it proves nothing. */
export async function makeSigner(): Promise<Signer> {
  const pair = (await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify'])) as CryptoKeyPair
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
  return { id: await keyId(raw), public: toBase64url(raw), privateKey: pair.privateKey }
}

/** Throws when the district's key is not the one its name says: nothing must be sealed to a key that is damaged. */
export async function seal(capture: Capture, signer: Signer, to: DistrictKey): Promise<Bundle> {
  const recipient = fromBase64url(to.public)
  if ((await keyId(recipient)) !== to.key) throw new Error('the public key is not the one it is called')
  const bound = binding(to.district, to.key)
  const statement = JSON.stringify(capture)
  const message = join(bound, new Uint8Array(1), text(statement))
  const signature = new Uint8Array(await crypto.subtle.sign({ name: 'Ed25519' }, signer.privateKey, message))
  const inner = JSON.stringify({ statement, signer: signer.id, signature: toBase64url(signature) })
  const sealed = await encrypt(padded(text(inner)), recipient, bound)
  return { wangge_sealed: VERSION, district: to.district, key: to.key, sealed: toBase64url(sealed) }
}

/** A file for a colleague or a desk: one bundle a line, so that damage to one is no damage to the others. */
export function toFile(bundles: readonly Bundle[]): string {
  return bundles.map((bundle) => `${JSON.stringify(bundle)}\n`).join('')
}

/** What a bundle is bound to. */
export function binding(district: string, key: string): Bytes {
  return text(`wangge sealed ${VERSION}\0${district}\0${key}`)
}

/** Blanks hide how long a capture is; JSON does not mind them. */
function padded(plain: Bytes): Bytes {
  const whole = new Uint8Array(Math.ceil(plain.length / BLOCK) * BLOCK).fill(0x20)
  whole.set(plain)
  return whole
}

async function encrypt(plain: Bytes, recipient: Bytes, info: Bytes): Promise<Bytes> {
  const algorithm = { name: 'X25519' }
  const pair = (await crypto.subtle.generateKey(algorithm, false, ['deriveBits'])) as CryptoKeyPair
  const encapsulated = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
  const theirs = await crypto.subtle.importKey('raw', recipient, algorithm, false, [])
  const shared = await crypto.subtle.deriveBits({ ...algorithm, public: theirs }, pair.privateKey, 256)
  const { key, nonce } = await schedule(new Uint8Array(shared), join(encapsulated, recipient), info)
  const aes = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt'])
  const cipher = await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce }, aes, plain)
  return join(encapsulated, new Uint8Array(cipher))
}

/** RFC 9180, 4.1 and 5.1: the key and the nonce of the one message. `context` is the encapsulated key, then the recipient's. */
export async function schedule(shared: Bytes, context: Bytes, info: Bytes): Promise<{ key: Bytes; nonce: Bytes }> {
  const extracted = await extract(KEM, NONE, 'eae_prk', shared)
  const secretOfKem = await expand(KEM, extracted, 'shared_secret', context, 32)
  const about = join(
    new Uint8Array(1),
    await extract(HPKE, NONE, 'psk_id_hash', NONE),
    await extract(HPKE, NONE, 'info_hash', info),
  )
  const secret = await extract(HPKE, secretOfKem, 'secret', NONE)
  return {
    key: await expand(HPKE, secret, 'key', about, 32),
    nonce: await expand(HPKE, secret, 'base_nonce', about, 12),
  }
}

async function extract(suite: Bytes, salt: Bytes, label: string, material: Bytes): Promise<Bytes> {
  return hmac(salt, join(text('HPKE-v1'), suite, text(label), material))
}

/** At most 32 bytes: one block of HKDF. */
async function expand(suite: Bytes, secret: Bytes, label: string, info: Bytes, length: number): Promise<Bytes> {
  const labelled = join(new Uint8Array([0, length]), text('HPKE-v1'), suite, text(label), info)
  return (await hmac(secret, join(labelled, new Uint8Array([1])))).slice(0, length)
}

async function hmac(key: Bytes, message: Bytes): Promise<Bytes> {
  // an empty key, which WebCrypto refuses, is the same as zeros
  const raw = key.length ? key : new Uint8Array(32)
  const imported = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, message))
}

async function keyId(raw: Bytes): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', raw))
  return Array.from(digest.slice(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function text(value: string): Bytes {
  return new TextEncoder().encode(value)
}

function join(...parts: Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let place = 0
  for (const part of parts) {
    whole.set(part, place)
    place += part.length
  }
  return whole
}

export function toBase64url(value: Bytes): string {
  // in pieces: a picture's worth of arguments would be too many for one call
  let binary = ''
  for (let start = 0; start < value.length; start += 0x2000) {
    binary += String.fromCharCode(...value.subarray(start, start + 0x2000))
  }
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

export function fromBase64url(value: string): Bytes {
  return Uint8Array.from(atob(value.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
}
