/**
 * The way of a signed request of ACME: its form, its nonce, its URL, its key, its account.
 *
 * Owns that order (RFC 8555, 6), that a nonce is used up whatever comes of the request, and that
 * every answer has the next one. Pure.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import {
  type Call,
  type Outcome,
  type PathSpec,
  path,
  prepared as withPrepared,
} from '../../../declare.ts'
import type { Fields } from '../../../field.ts'
import type { Shape } from '../../../shape.ts'
import {
  type Directory,
  directoryFields,
  directoryOf,
  headersOf,
  jsonAnswer,
  prefixes,
  problemAnswer,
} from './directory.ts'
import { isSignedBy, type Jwk, keyOfJwk, objectIn, parseJws, type SignedRequest } from './jws.ts'
import { useNonce } from './nonce.ts'
import type { AcmePorts } from './ports.ts'
import { Problem } from './problem.ts'
import { type AccountRow, accountAt } from './rows.ts'

/** A request whose signature holds. */
export interface Asked {
  readonly call: Call
  readonly ports: AcmePorts
  readonly directory: Directory
  /** What is asked for; undefined where nothing is but to read. */
  readonly payload: Readonly<Record<string, unknown>> | undefined
  /** Who asks; undefined where the key itself was sent. */
  readonly account: AccountRow | undefined
  readonly jwk: Jwk
  readonly key: KeyObject
}

/** What a handler gives: a body of JSON, unless it says otherwise. */
export interface AcmeAnswer {
  readonly status?: number
  readonly body?: unknown
  readonly raw?: { readonly body: string; readonly type: string }
  readonly headers?: Readonly<Record<string, string>>
  readonly links?: readonly string[]
}

export type AcmeHandler<P = undefined> = (asked: Asked, prepared: P) => AcmeAnswer | Problem

/** Who may ask: an account, a key that is sent, or either. */
type Signer = 'account' | 'key' | 'either'

interface SignedPath<F extends Fields, P> {
  /** Below `acme/`. */
  readonly pattern: string
  readonly synopsis: string
  readonly description: string
  readonly fields: F
  /** What a body of JSON holds. */
  readonly answer: Shape
  readonly signer: Signer
  readonly handle: AcmeHandler<P>
  /** Work that takes time, for who asks: before the transaction, on a view of its own. */
  readonly prepare?: (asked: Asked) => Promise<P | Problem>
}

/** Declares a path in all directories. */
export const signedPaths = <F extends Fields, P = undefined>(
  ports: AcmePorts,
  { pattern, synopsis, description, fields, answer, signer, handle, prepare }: SignedPath<F, P>,
): PathSpec[] =>
  prefixes.map(prefix =>
    path({
      pattern: `${prefix}acme/${pattern}`,
      help: { synopsis, description },
      fields: { ...directoryFields, ...fields },
      access: 'open',
      operations: {
        update: withPrepared<typeof directoryFields & F, Prepared<P> | undefined>({
          summary: synopsis,
          answer,
          ...(prepare && {
            async prepare(call) {
              const asked = askedOf(call as unknown as Call, ports, signer, false)
              if (asked instanceof Refused) return undefined
              const done = await prepare(asked)
              return { done }
            },
          }),
          run: call =>
            answered(
              call as unknown as Call<Fields, Prepared<P> | undefined>,
              ports,
              signer,
              handle,
            ),
        }),
      },
    }),
  )

interface Prepared<P> {
  readonly done: P | Problem
}

function answered<P>(
  call: Call<Fields, Prepared<P> | undefined>,
  ports: AcmePorts,
  signer: Signer,
  handle: AcmeHandler<P>,
): Outcome {
  const asked = askedOf(call as unknown as Call, ports, signer, true)
  if (asked instanceof Refused) {
    const { problem, directory } = asked
    return problemAnswer(problem, directory && headersOf(call, directory))
  }
  const { directory } = asked
  const done = call.prepared?.done
  const answer = done instanceof Problem ? done : handle(asked, done as P)
  if (answer instanceof Problem) return problemAnswer(answer, headersOf(call, directory))
  const headers = { ...headersOf(call, directory, answer.links), ...answer.headers }
  const { status = 200, raw, body } = answer
  if (raw !== undefined) return { status, raw, headers }
  return jsonAnswer(status, body ?? {}, headers)
}

/** A request that is none. */
class Refused {
  readonly problem: Problem
  readonly directory: Directory | undefined

  constructor(problem: Problem, directory?: Directory) {
    this.problem = problem
    this.directory = directory
  }
}

function askedOf(
  call: Call,
  ports: AcmePorts,
  signer: Signer,
  usesNonce: boolean,
): Asked | Refused {
  const directory = directoryOf(call as never, ports)
  if (directory instanceof Problem) return new Refused(directory)
  const { body, mediaType } = call.request
  if (body === undefined || mediaType !== 'application/jose+json') {
    const text = 'the body must be of application/jose+json'
    return new Refused(new Problem('malformed', text, { status: 415 }), directory)
  }
  const signed = parseJws(body)
  if (signed instanceof Problem) return new Refused(signed, directory)
  const asked = verified(call, ports, directory, signed, signer)
  if (asked instanceof Problem) return new Refused(asked, directory)
  // The nonce is looked at last: a request that nobody signed uses none up.
  if (usesNonce && !useNonce(call, signed.nonce)) {
    return new Refused(new Problem('badNonce', 'the nonce is not good, or not any more'), directory)
  }
  return asked
}

function verified(
  call: Call,
  ports: AcmePorts,
  directory: Directory,
  signed: SignedRequest,
  signer: Signer,
): Asked | Problem {
  const { url: base, place } = directory
  const own = `${base}/${call.path.slice(`${place}acme/`.length)}`
  if (signed.url !== own) return new Problem('unauthorized', 'the url is not that of the request')
  if (signed.jwk === undefined ? signer === 'key' : signer === 'account') {
    const wanted = signer === 'key' ? 'the key itself (jwk)' : 'the account (kid)'
    return new Problem('malformed', `a request to this path is signed with ${wanted}`)
  }
  const account = signed.kid === undefined ? undefined : accountOfUrl(call, directory, signed.kid)
  if (account instanceof Problem) return account
  const jwk = account?.jwk ?? signed.jwk!
  const key = keyOfJwk(jwk)
  if (key instanceof Problem) return key
  if (!isSignedBy(signed, key)) return new Problem('malformed', 'the signature does not hold')
  if (account !== undefined) {
    if (account.status !== 'valid') {
      return new Problem('unauthorized', `the account is ${account.status}`)
    }
    if (account.binding === undefined && directory.config.eabPolicy === 'always-required') {
      return new Problem('externalAccountRequired', 'the account has no external account')
    }
  }
  const payload = signed.payload.length === 0 ? undefined : objectIn(signed.payload.toString())
  if (payload === undefined && signed.payload.length > 0) {
    return new Problem('malformed', 'the payload is no JSON object')
  }
  return { call, ports, directory, payload, account, jwk, key }
}

function accountOfUrl(call: Call, { url, place }: Directory, kid: string): AccountRow | Problem {
  const prefix = `${url}/account/`
  const missing = new Problem('accountDoesNotExist', 'there is no such account')
  if (!kid.startsWith(prefix)) return missing
  const account = accountAt(call.storage, kid.slice(prefix.length))
  return account === undefined || account.directory !== place ? missing : account
}

/** Who asked, of a path that accounts alone sign for. */
export function signerOf({ account }: Asked): AccountRow {
  if (account === undefined) throw new Refusal(500, 'internal error')
  return account
}
