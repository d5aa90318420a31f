/**
 * Directories of ACME: of a mount, of one of its roles, of one of its issuers.
 *
 * Owns where each is, what it may give, and its two paths that nobody signs. Pure.
 */
import { type Call, type Outcome, type PathSpec, path } from '../../../declare.ts'
import type { Fields } from '../../../field.ts'
import { str } from '../../../field.ts'
import { issuerFor, type RoleForAcme, roleFor } from './authority.run.ts'
import { baseUrlOf } from './base-url.ts'
import { type AcmeConfig, acmeConfigOf, allows } from './config.ts'
import { newNonce } from './nonce.ts'
import type { AcmePorts } from './ports.ts'
import { Problem, problemBody } from './problem.ts'
import { directoryShape, nothing } from './shapes.ts'

/** Where a directory lies below its mount, up to `acme/`. */
export const prefixes = [
  '',
  'roles/{role}/',
  'issuer/{issuer_ref}/',
  'issuer/{issuer_ref}/roles/{role}/',
] as const

export const directoryFields = {
  role: str('The role that says what may be given.'),
  issuer_ref: str('The issuer: its id, its name, or default.'),
} satisfies Fields

/** A directory that a request is to. */
export interface Directory {
  readonly config: AcmeConfig
  /** Where it lies below the mount, '' or up to the slash before `acme`. */
  readonly place: string
  /** The URL of what stands in it, without a slash at its end. */
  readonly url: string
  readonly role: RoleForAcme
  readonly issuerRef: string
}

type DirectoryCall = Call<typeof directoryFields>

const forbidden = (text: string): Problem => new Problem('unauthorized', text, { status: 403 })

/** The directory of a request, or why it is none. */
export function directoryOf(call: DirectoryCall, ports: AcmePorts): Directory | Problem {
  const { storage, fields } = call
  const config = acmeConfigOf(storage)
  const base = baseUrlOf(call as unknown as Call, ports)
  if (!config.isEnabled || base === undefined) {
    return new Problem('serverInternal', 'ACME feature is disabled', { status: 404 })
  }
  const { role: named, issuer_ref: issuerRef } = fields
  const place = `${issuerRef === undefined ? '' : `issuer/${issuerRef}/`}${
    named === undefined ? '' : `roles/${named}/`
  }`
  const roleName = named ?? /^role:(.+)$/.exec(config.directoryPolicy)?.[1]
  if (roleName === undefined && config.directoryPolicy === 'forbid') {
    return forbidden('the default directory is forbidden: name a role')
  }
  if (roleName !== undefined && !allows(config.allowedRoles, roleName)) {
    return forbidden('this role may not be used by ACME')
  }
  const role = roleFor(storage, roleName ?? '', config)
  if (role === undefined) return forbidden('there is no such role')
  if (role.row.no_store) {
    return forbidden('a role that stores no certificates cannot be used by ACME')
  }
  const ref = issuerRef ?? role.row.issuer_ref
  const issuer = issuerFor(storage, ref)
  if (issuer === undefined) return forbidden('there is no such issuer that may give certificates')
  const { allowedIssuers } = config
  const isAllowed = allowedIssuers.some(
    one => one === '*' || issuerFor(storage, one)?.id === issuer.id,
  )
  if (!isAllowed) return forbidden('this issuer may not be used by ACME')
  return { config, place, url: `${base}/${place}acme`, role, issuerRef: ref }
}

/** The headers that every answer of a directory has. */
export const headersOf = (
  call: Pick<Call, 'storage' | 'random' | 'now'>,
  { url }: Pick<Directory, 'url'>,
  links: readonly string[] = [],
): Record<string, string> => ({
  'Replay-Nonce': newNonce(call),
  Link: [`<${url}/directory>;rel="index"`, ...links].join(', '),
})

const PROBLEM_TYPE = 'application/problem+json'

/** An answer that says what is wrong. */
export const problemAnswer = (
  problem: Problem,
  headers: Readonly<Record<string, string>> = {},
): Outcome => ({
  status: problem.status,
  raw: { body: JSON.stringify(problemBody(problem)), type: PROBLEM_TYPE },
  headers: { ...headers, ...problem.headers },
})

/** An answer with a body of JSON. */
export const jsonAnswer = (
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): Outcome => ({
  status,
  raw: { body: JSON.stringify(body), type: 'application/json' },
  headers,
})

/** The directory itself, and where nonces come from. */
export const openPaths = (ports: AcmePorts): readonly PathSpec[] =>
  prefixes.flatMap(prefix => [
    path({
      pattern: `${prefix}acme/directory`,
      help: {
        synopsis: 'A directory of ACME (RFC 8555).',
        description: 'Where its clients begin.',
      },
      fields: directoryFields,
      access: 'open',
      operations: {
        read: {
          summary: 'Tells where everything is.',
          answer: directoryShape,
          run: call => readDirectory(call, ports),
        },
      },
    }),
    path({
      pattern: `${prefix}acme/new-nonce`,
      help: { synopsis: 'A nonce for the next request.', description: 'It is good once.' },
      fields: directoryFields,
      access: 'open',
      operations: {
        read: { summary: 'Gives one.', answer: nothing, run: call => readNonce(call, ports) },
      },
    }),
  ])

function readDirectory(call: DirectoryCall, ports: AcmePorts): Outcome {
  const directory = directoryOf(call, ports)
  if (directory instanceof Problem) return problemAnswer(directory)
  const { url, config } = directory
  const body = {
    newNonce: `${url}/new-nonce`,
    newAccount: `${url}/new-account`,
    newOrder: `${url}/new-order`,
    revokeCert: `${url}/revoke-cert`,
    keyChange: `${url}/key-change`,
    meta: {
      externalAccountRequired: needsExternal(config, ports),
    },
  }
  return jsonAnswer(200, body, {})
}

/** Whether accounts of others are asked for at this mount. */
export const needsExternal = (
  { eabPolicy }: Pick<AcmeConfig, 'eabPolicy'>,
  { needsExternalAccount }: AcmePorts,
): boolean => needsExternalAccount || eabPolicy !== 'not-required'

const NO_CONTENT = 204

function readNonce(call: DirectoryCall, ports: AcmePorts): Outcome {
  const directory = directoryOf(call, ports)
  if (directory instanceof Problem) return problemAnswer(directory)
  const status = call.request.isHead === true ? 200 : NO_CONTENT
  return {
    status,
    raw: { body: '', type: 'application/json' },
    headers: headersOf(call, directory),
  }
}
