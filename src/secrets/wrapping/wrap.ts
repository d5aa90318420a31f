/**
 * Wrapping: an answer is kept for one reader, and a token given that reads it once.
 *
 * Owns the token and where the answer lies: in the cubbyhole of the token, as old clients look for
 * it. The bytes that are read are those that would have been answered. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { PLAIN } from '../engine/kv/v1.ts'
import type { Rendered, Wrapped } from '../envelope.ts'
import type { Draft } from '../storage.ts'
import { cubbyholeOf } from '../token/cubbyhole.ts'
import { endToken } from '../token/end.ts'
import { type Issued, issueToken } from '../token/issue.ts'
import { WRAPPING_POLICY } from '../token/policies.ts'
import { type Target, tokenOfSecret } from '../token/target.ts'
import type { TokenRow } from '../token/token.ts'
import { usesLeft } from '../token/use.ts'

/** What is said of a token that is no wrapping token, or was used. */
export const NOT_WRAPPING = new Refusal(400, 'wrapping token is not valid or does not exist')

/** What is kept: the body as text, or bytes of another type in base64. */
interface KeptRow {
  readonly response: string
  readonly type?: string
  readonly isBase64?: true
}

const KEPT_AT = `${PLAIN}response`
const JSON_TYPE = 'application/json'

/** What a wrapping is made of. */
export interface ToWrap {
  /** The path that gave the answer, in its namespace. */
  readonly path: string
  readonly namespaceId: string
  readonly ttlMs: number
  readonly body: Pick<Rendered, 'body' | 'type'>
  /** The accessor of what is in it; '' for none. */
  readonly accessor: string
}

/** Keeps an answer for one reader. */
export function wrap(draft: Draft, { path, namespaceId, ttlMs, body, accessor }: ToWrap): Wrapped {
  const lifeMs = Math.min(ttlMs, draft.ttls.maxMs)
  const issued = issueWrapping(draft, { path, namespaceId, lifeMs, accessor })
  keep(draft, issued, keptOf(body))
  return wrappedOf(issued)
}

interface WrappingToken {
  readonly path: string
  readonly namespaceId: string
  readonly lifeMs: number
  readonly accessor: string
}

const issueWrapping = (
  draft: Draft,
  { path, namespaceId, lifeMs, accessor }: WrappingToken,
): Issued =>
  issueToken(draft, {
    ...{ type: 'service', parent: undefined, depth: 0, policies: [WRAPPING_POLICY], path },
    ...{ meta: null, displayName: '', numUses: 1, ttlMs: lifeMs, explicitMaxTtlMs: lifeMs },
    ...{ periodMs: 0, renewable: false, role: '', boundCidrs: [], entityId: '', namespaceId },
    ...{ mountAccessor: '', internal: { accessor } },
  })

function keep(draft: Draft, { hash, row }: Issued, kept: KeptRow): void {
  cubbyholeOf(draft, { namespaceId: row.namespaceId, hash })!.put(KEPT_AT, kept)
}

function keptOf({ body, type }: ToWrap['body']): KeptRow {
  if (type === JSON_TYPE) return { response: body.toString() }
  if (typeof body === 'string') return { response: body, type }
  return { response: body.toString('base64'), type, isBase64: true }
}

/** What the answer says instead of what was wrapped. */
function wrappedOf({ secret, row }: Issued): Wrapped {
  const { accessor } = row.internal
  return {
    token: secret,
    accessor: row.accessor,
    ttl: Math.floor(row.ttlMs / 1_000),
    creation_time: new Date(row.createdAtMs).toISOString(),
    creation_path: row.path,
    ...(accessor === '' || accessor === undefined ? {} : { wrapped_accessor: accessor }),
  }
}

/** A wrapping that waits for its reader. */
export interface Wrapping extends Target {
  readonly kept: KeptRow
}

/** Whether a token is that of a wrapping. */
export const isWrapping = ({ policies }: TokenRow): boolean =>
  policies.length === 1 && policies[0] === WRAPPING_POLICY

/** The wrapping of a token; undefined where it is none, or was read. */
export function wrappingOf(draft: Draft, secret: string): Wrapping | undefined {
  const found = tokenOfSecret(draft, secret)
  if (found === undefined || !isWrapping(found.token)) return undefined
  if (usesLeft(draft, found.place, found.token) === 0) return undefined
  const kept = cubbyholeOf(draft, found.place)?.get<KeptRow>(KEPT_AT)
  return kept && { ...found, kept }
}

/** Gives what was wrapped, and ends its token: in one transaction, so that one reader has it. */
export function unwrap(draft: Draft, { place, kept }: Wrapping): Pick<Rendered, 'body' | 'type'> {
  // Three rows: they fit into any transaction.
  endToken(draft, place)
  const { response, type = JSON_TYPE, isBase64 } = kept
  return { body: isBase64 === true ? Buffer.from(response, 'base64') : response, type }
}

/** Gives another token for what was wrapped, and ends the one that there was. */
export function rewrap(draft: Draft, { place, token, kept }: Wrapping): Wrapped {
  const { path, namespaceId, ttlMs, internal } = token
  const issued = issueWrapping(draft, {
    ...{ path, namespaceId, lifeMs: ttlMs, accessor: internal.accessor ?? '' },
  })
  keep(draft, issued, kept)
  endToken(draft, place)
  return wrappedOf(issued)
}
