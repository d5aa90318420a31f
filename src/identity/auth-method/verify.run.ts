/**
 * Logins by JSON web token: a token and its method in, an identity out.
 *
 * Owns the order of the steps: form, algorithm, keys, signature, claims; nothing that a token says
 * is believed before its signature holds. The signature is jose's work. In a file that runs, since
 * the runtime verifies signatures in its own threads.
 */
import { Refusal } from '../../base/errors.ts'
import type { LoginIdentity } from './identity.ts'
import { type ReadToken, readToken } from './jws.ts'
import { claimsProblem, identityFrom, type JwtConfig } from './jwt.ts'
import { keysFor, type PublicKey } from './key.ts'
import type { KeySource } from './keys.run.ts'

/** Who a token says its bearer is; a refusal where it does not prove it. `nowMs` is wall time. */
export async function loginByJwt(
  config: JwtConfig,
  token: string,
  keys: Pick<KeySource, 'keysOf'>,
  nowMs: number,
): Promise<LoginIdentity | Refusal> {
  const read = readToken(token)
  if (typeof read === 'string') return refused(read)
  // Before a key is looked for: a token cannot choose what it is verified with.
  if (!config.algorithms.includes(read.algorithm)) {
    return refused('error verifying token: its signing algorithm is not allowed')
  }
  const found = await keysOf(config, keys, read)
  if (typeof found === 'string') return refused(`error verifying token: ${found}`)
  if (!(await isSigned(token, read, found.keys))) {
    return refused('no known key successfully validated the token signature')
  }
  const problem = claimsProblem(config, read.claims, nowMs, found.issuer)
  if (problem !== undefined) return refused(problem)
  const identity = identityFrom(config, read.claims)
  return typeof identity === 'string' ? refused(identity) : identity
}

const refused = (text: string): Refusal => new Refusal(403, `Permission denied: ${text}`)

interface FoundKeys {
  readonly keys: readonly PublicKey[]
  readonly issuer?: string
}

async function keysOf(
  { place }: JwtConfig,
  source: Pick<KeySource, 'keysOf'>,
  { algorithm, keyId }: ReadToken,
): Promise<FoundKeys | string> {
  const isThere = (keys: readonly PublicKey[]): boolean =>
    keysFor(keys, algorithm, keyId).length > 0
  if (place.kind === 'here') return place
  return source.keysOf(place, isThere)
}

/** Whether one of the keys made the signature. */
async function isSigned(
  token: string,
  { algorithm, keyId }: ReadToken,
  keys: readonly PublicKey[],
): Promise<boolean> {
  const { compactVerify } = await import('jose')
  for (const { key } of keysFor(keys, algorithm, keyId)) {
    try {
      await compactVerify(token, key, { algorithms: [algorithm] })
      return true
    } catch {
      // Another key may have made it.
    }
  }
  return false
}
