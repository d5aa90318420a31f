/**
 * Revoking tokens: `auth/token/revoke`, `revoke-self`, `revoke-accessor`, `revoke-orphan`, `tidy`.
 *
 * Owns how a token's end is asked for. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { str } from '../../field.ts'
import type { Draft } from '../../storage.ts'
import { endToken } from '../../token/end.ts'
import {
  acrossNamespaces,
  byAccessor,
  bySecret,
  ownTarget,
  type Target,
} from '../../token/target.ts'
import type { EndOfToken, TokenPlace } from '../../token/token.ts'

const token = str('The secret of the token.', { isSecret: true })
const accessor = str('The accessor of the token.')

const BATCH = new Refusal(400, 'batch tokens cannot be revoked')

/** The paths that end tokens. */
export const revokePaths = [
  path({
    pattern: 'revoke',
    help: { synopsis: 'Ends a token, and all that it made.', description: 'Unknown ones too.' },
    fields: { token },
    access: 'authorized',
    operations: {
      update: {
        ...{ summary: 'Ends a token with its children.', examples: [{ token: 'hvs.example' }] },
        run: call => revokeGiven(call, 'tree'),
      },
    },
  }),
  path({
    pattern: 'revoke-self',
    help: { synopsis: 'Ends the token that asks.', description: 'And all that it made.' },
    fields: { token: str('Taken, and of no meaning.', { isDeprecated: true }) },
    access: 'authorized',
    operations: {
      update: {
        summary: 'Ends the token that asks, with its children.',
        run: call => ended(call.draft, ownTarget(call), 'tree'),
      },
    },
  }),
  path({
    pattern: 'revoke-accessor',
    help: { synopsis: 'Ends the token of an accessor.', description: 'And all that it made.' },
    fields: { accessor },
    access: 'authorized',
    operations: {
      update: {
        summary: 'Ends the token of an accessor, with its children.',
        run: call => {
          const given = call.fields.accessor ?? ''
          if (given === '') return new Refusal(400, 'missing accessor')
          const refused = acrossNamespaces(call, given, 'revoke')
          if (refused !== undefined) return refused
          const target = byAccessor(call, given)
          return target === undefined
            ? new Refusal(400, 'invalid accessor')
            : ended(call.draft, target, 'tree')
        },
      },
    },
  }),
  path({
    pattern: 'revoke-orphan',
    help: { synopsis: 'Ends a token alone.', description: 'What it made lives on, as orphans.' },
    fields: { token },
    access: 'privileged',
    operations: {
      update: {
        summary: 'Ends a token; its children become orphans.',
        run: call => revokeGiven(call, 'alone'),
      },
    },
  }),
  path({
    pattern: 'tidy',
    help: {
      synopsis: 'Would tidy up after tokens.',
      description: 'The rows of a token go with it: there is never anything left to tidy.',
    },
    fields: {},
    access: 'authorized',
    operations: {
      update: {
        summary: 'Answers that nothing is left to tidy.',
        effect: 'reads',
        run: () => ({ status: 202, warnings: ['nothing is left to tidy: tokens end as a whole'] }),
      },
    },
  }),
]

function revokeGiven(call: Call<{ token: typeof token }>, how: EndOfToken): Outcome {
  const secret = call.fields.token ?? ''
  if (secret === '') return new Refusal(400, 'missing token ID')
  const refused = acrossNamespaces(call, secret, 'revoke')
  if (refused !== undefined) return refused
  const target = bySecret(call, secret)
  return target === undefined ? NOTHING : ended(call.draft, target, how)
}

function ended(draft: Draft, { place, token }: Target, how: EndOfToken): Outcome {
  if (token.type === 'batch') return BATCH
  return endToken(draft, place, how) ? NOTHING : { rest: restOf(place) }
}

const restOf =
  (place: TokenPlace) =>
  (draft: Draft): boolean =>
    endToken(draft, place)
