/**
 * Hashes of passwords: argon2id (RFC 9106) in the form of PHC strings, and what hashes of bcrypt
 * that were made elsewhere look like.
 *
 * Owns their cost, their form, and that looking at a wrong password costs what a right one does.
 * It takes tens of milliseconds: only threads of our own call it (io/threads.ts).
 */
import { argon2Sync, timingSafeEqual } from 'node:crypto'
import { limits } from './limits.ts'

/** 19 MiB, two passes, one lane: OWASP's least for argon2id, and what a login costs. */
const MEMORY_KIB = 19_456
const PASSES = 2
const SALT_SIZE_BYTES = 16
const TAG_SIZE_BYTES = 32

interface Parsed {
  readonly memoryKib: number
  readonly passes: number
  readonly salt: Buffer
  readonly tag: Buffer
}

const FORM = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=1\$([\w+/-]+)\$([\w+/-]+)$/

function parse(hash: string): Parsed | undefined {
  const parts = FORM.exec(hash)
  if (parts === null) return undefined
  const [salt, tag] = [parts[3]!, parts[4]!].map(text => Buffer.from(text, 'base64')) as [
    Buffer,
    Buffer,
  ]
  if (salt.length !== SALT_SIZE_BYTES || tag.length !== TAG_SIZE_BYTES) return undefined
  return { memoryKib: Number(parts[1]), passes: Number(parts[2]), salt, tag }
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes).toString('base64').replace(/=+$/, '')

const compute = (password: string, { memoryKib, passes, salt }: Omit<Parsed, 'tag'>): Buffer =>
  argon2Sync('argon2id', {
    message: password,
    nonce: salt,
    parallelism: 1,
    tagLength: TAG_SIZE_BYTES,
    memory: memoryKib,
    passes,
  })

/** The hash of a password with a salt of 16 bytes. */
export function hashPasswordNow(password: string, salt: Uint8Array): string {
  const tag = compute(password, { memoryKib: MEMORY_KIB, passes: PASSES, salt: Buffer.from(salt) })
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${base64(salt)}$${base64(tag)}`
}

/** Whether a hash is that of a password; not, where it is no hash of ours. */
export function isPasswordNow(password: string, hash: string): boolean {
  const known = parse(hash) ?? parse(NOBODYS_HASH)!
  return timingSafeEqual(compute(password, known), known.tag) && hash !== NOBODYS_HASH
}

const BCRYPT_FORM = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

/** Whether a text has the form of a hash of bcrypt. */
export const isBcrypt = (hash: string): boolean => BCRYPT_FORM.test(hash)

/** What is wrong with a hash of bcrypt; undefined where it can be looked at. */
export function bcryptProblem(hash: string): string | undefined {
  const cost = Number(BCRYPT_FORM.exec(hash)?.[1])
  if (Number.isNaN(cost)) return 'it is no hash of bcrypt'
  if (cost < 4) return 'its cost is below 4'
  return cost > limits.bcryptCost ? `its cost is above ${limits.bcryptCost}` : undefined
}

/** What no password has, and costs what every other costs: for names that nobody has. */
export const NOBODYS_HASH = `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${base64(
  Buffer.alloc(SALT_SIZE_BYTES),
)}$${base64(Buffer.alloc(TAG_SIZE_BYTES))}`

export const PASSWORD_SALT_SIZE_BYTES = SALT_SIZE_BYTES
