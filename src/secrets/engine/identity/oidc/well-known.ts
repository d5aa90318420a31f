/**
 * What anybody is told of identity tokens: discovery, and the public keys.
 *
 * Owns both paths, and how long what they tell may be kept. Pure. Follows OpenID Connect Discovery
 * 1.0 and RFC 7517.
 */
import { limits } from '../../../../base/limits.ts'
import { type Answer, type PathSpec, path } from '../../../declare.ts'
import { toSeconds } from '../../../field.ts'
import { ALGORITHMS } from '../../../oidc/algorithm.ts'
import { configuredIssuer, issuerAt } from '../../../oidc/issuer.ts'
import type { KeySet } from '../../../oidc/key.ts'
import { roleKeySet } from '../../../oidc/role.ts'
import * as shape from '../../../shape.ts'
import type { Draft } from '../../../storage.ts'
import type { OidcPorts } from './ports.ts'

const maxAge = (ms: number) => ({ 'Cache-Control': `max-age=${toSeconds(ms)}` })

/** A page of discovery. */
export const discovered = (bare: object): Answer => ({
  bare,
  headers: maxAge(limits.oidcDiscoveryMaxAgeMs),
})

export const keySetShape = shape.object({ keys: shape.list(shape.mapOf(shape.text)) })

/**
 * A set of keys. It may be kept for a part of the time that all of them hold: by chance, so that
 * not all who keep it ask again at once.
 */
export function keySetAnswer({ random }: Pick<Draft, 'random'>, set: KeySet): Answer {
  const { keys, steadyMs } = set
  const mostMs = Math.min(steadyMs, limits.oidcKeysMaxAgeMs)
  if (mostMs === 0) return { bare: { keys } }
  return { bare: { keys }, headers: maxAge((mostMs * (1 + random.fraction())) / 2) }
}

export const wellKnownPaths = ({ address }: OidcPorts): PathSpec[] => [
  path({
    pattern: 'oidc/.well-known/openid-configuration',
    help: {
      synopsis: 'What there is to know of identity tokens.',
      description: 'Their issuer, where its public keys are, and how it signs.',
    },
    fields: {},
    access: 'open',
    operations: {
      read: {
        summary: 'Tells who issues identity tokens.',
        answer: shape.object({
          ...{ issuer: shape.text, jwks_uri: shape.text },
          response_types_supported: shape.texts,
          subject_types_supported: shape.texts,
          id_token_signing_alg_values_supported: shape.texts,
        }),
        run({ draft, namespace }) {
          const issuer = issuerAt(configuredIssuer(draft, namespace.id), address(), namespace)
          return discovered({
            ...{ issuer, jwks_uri: `${issuer}/.well-known/keys` },
            response_types_supported: ['id_token'],
            subject_types_supported: ['public'],
            id_token_signing_alg_values_supported: ALGORITHMS,
          })
        },
      },
    },
  }),
  path({
    pattern: 'oidc/.well-known/keys',
    help: {
      synopsis: 'The public keys of identity tokens.',
      description: 'Those that roles sign with, will sign with next, and have signed with.',
    },
    fields: {},
    access: 'open',
    operations: {
      read: {
        summary: 'Tells the public keys of identity tokens.',
        answer: keySetShape,
        run: ({ draft, namespace }) => keySetAnswer(draft, roleKeySet(draft, namespace.id)),
      },
    },
  }),
]
