/**
 * What a certificate is asked for by, and how: a role that makes the key, or one that signs a
 * request for a key that is made here and never leaves this machine.
 *
 * Owns the request and the reading of its answer.
 */
import { createHash, createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import { makeRequest } from '../../x509/csr.ts'
import { pemOf } from '../../x509/pem.ts'
import type { SecretsClient } from '../secrets/client.ts'
import { Failure } from '../secrets/failure.ts'
import { barePath } from '../secrets/paths.ts'
import type { Data, Secret } from '../secrets/secret.ts'
import { type Pair, pairOf } from './pair.ts'

export const keyTypes = ['ec', 'rsa', 'ed25519'] as const
export type KeyType = (typeof keyTypes)[number]

/** One wish, asked again and again. */
export interface Order {
  /** `pki/issue/ROLE`, `pki/sign/ROLE`, or either below `pki/issuer/REF/`. */
  readonly path: string
  readonly data: Data
  /** Of keys that are made here. */
  readonly keyType: KeyType
  /** Whether a key that was made here is made anew each time. */
  readonly isKeyNew: boolean
}

const PATH = /(^|\/)(issue|sign)\/[^/]+$/
const RSA_BITS = 2_048

/** Checks a wish; gives it. Throws Failure. */
export function orderOf({ path, data, ...rest }: Order): Order {
  const bare = barePath(path)
  if (!PATH.test(bare)) {
    throw new Failure(`${bare} is not the path of a role: MOUNT/issue/ROLE or MOUNT/sign/ROLE`, 1)
  }
  for (const name of ['format', 'csr']) {
    if (Object.hasOwn(data, name)) throw new Failure(`${name} is not for you to say here`, 1)
  }
  return { path: bare, data, ...rest }
}

/** Two wishes with the same mark get the same kind of certificate. */
export function markOf({ path, data, keyType }: Order): string {
  const sorted = Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1))
  const hash = createHash('sha256').update(JSON.stringify([path, keyType, sorted]))
  return hash.digest('hex')
}

/** Whether the key is made here. */
const makesKey = ({ path }: Order): boolean => PATH.exec(path)?.[2] === 'sign'

/**
 * Asks for a certificate; `before` is the pair that it is to replace. Throws what the client
 * throws, and where the answer is no pair.
 */
export async function askFor(
  client: SecretsClient,
  order: Order,
  before: Pair | undefined,
): Promise<Pair> {
  const data = { ...order.data, format: 'pem' }
  if (!makesKey(order)) {
    const answer = await client.write(order.path, data)
    return pairOf({ ...textsOf(answer), key: text(answer, 'private_key') })
  }
  const key =
    before === undefined || order.isKeyNew ? await newKey(order.keyType) : keyOf(before.key)
  const csr = pemOf('CERTIFICATE REQUEST', makeRequest(requestOf(order.data), key))
  const answer = await client.write(order.path, { ...data, csr })
  const pem = key.export({ type: 'pkcs8', format: 'pem' }) as string
  return pairOf({ ...textsOf(answer), key: pem })
}

const keyOf = (pem: string): KeyObject => createPrivateKey(pem)

async function newKey(type: KeyType): Promise<KeyObject> {
  const generate = promisify(generateKeyPair)
  if (type === 'ed25519') return (await promisify(generateKeyPair)('ed25519')).privateKey
  if (type === 'rsa')
    return (await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS })).privateKey
  return (await generate('ec', { namedCurve: 'P-256' })).privateKey
}

/** The names that the data asks for, as a request carries them. */
function requestOf(data: Data) {
  const listOf = (name: string): string[] => {
    const value = Object.hasOwn(data, name) ? data[name] : []
    const texts = Array.isArray(value) ? value.map(String) : String(value).split(',')
    return texts.map(one => one.trim()).filter(one => one !== '')
  }
  const [common = ''] = listOf('common_name')
  const isInNames = !/^(1|t|true)$/i.test(listOf('exclude_cn_from_sans')[0] ?? '')
  const named = [...(isInNames && common !== '' ? [common] : []), ...listOf('alt_names')]
  const addresses = [...named.filter(name => isIP(name) > 0), ...listOf('ip_sans')]
  const plain = named.filter(name => isIP(name) === 0)
  return {
    subject: common === '' ? [] : [['CN', common] as const],
    names: {
      dnsNames: [...new Set(plain.filter(name => !name.includes('@')))],
      emails: plain.filter(name => name.includes('@')),
      addresses: [...new Set(addresses)],
      uris: listOf('uri_sans'),
    },
  }
}

function textsOf(answer: Secret | undefined) {
  const certificate = text(answer, 'certificate')
  const given = answer?.data?.ca_chain
  const issuer = answer?.data?.issuing_ca
  const chain = Array.isArray(given) && given.length > 0 ? given : issuer ? [issuer] : []
  return { certificate, chain: chain.map(each => `${String(each).trimEnd()}\n`).join('') }
}

function text(answer: Secret | undefined, name: string): string {
  const value = answer?.data?.[name]
  if (typeof value !== 'string' || value === '') throw new Error(`the answer has no ${name}`)
  return value
}
