/**
 * The first token: what a store must hold before anybody can have rights, and who gets them all.
 *
 * Owns the one bootstrap, its repetition by who can write to the server's disk, and the proof that
 * a server has the right registry key. Semantics follow Consul's API (/v1/acl/bootstrap). Pure.
 */
import type { WallMs } from '../base/brand.ts'
import { fromText } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { ANONYMOUS_ACCESSOR } from '../base/who.ts'
import { type Decision, type Op, put } from '../store/store.ts'
import {
  ACL_STATE,
  aclState,
  keyProof,
  policies,
  type TokenRow,
  tokens,
} from '../store/tables/acl.ts'
import type { Reader } from '../store/view.ts'
import { builtinPolicies, MANAGEMENT_POLICY_ID } from './policy.ts'
import type { NewToken, SecretParts } from './token.ts'

const noGrants = {
  policies: [],
  roles: [],
  serviceIdentities: [],
  nodeIdentities: [],
  templatedPolicies: [],
}

const tokenOf = (
  accessor: string,
  secret: SecretParts,
  description: string,
  linked: readonly string[],
  now: WallMs,
): TokenRow => ({
  accessor,
  sealedSecret: secret.sealed,
  description,
  ...noGrants,
  policies: linked,
  local: false,
  authMethod: '',
  metadata: {},
  ttlMs: 0,
  expiresAtMs: 0,
  createdAtMs: now,
})

const MANAGEMENT = [MANAGEMENT_POLICY_ID]

/** What every store holds: the builtin policies, the anonymous token, the proof of the key. */
export function initialise(
  view: Reader,
  given: { readonly anonymous: SecretParts; readonly sealedProof: string },
  now: WallMs,
): Decision<true> {
  const txn: Op[] = builtinPolicies
    .filter(({ id, rules }) => view.get(policies, fromText(id))?.row.rules !== rules)
    .map(policy => put(policies, fromText(policy.id), policy))
  const [known] = view.find(tokens, 'accessor', fromText(ANONYMOUS_ACCESSOR), 1)
  if (known === undefined) {
    const { anonymous } = given
    const row = tokenOf(ANONYMOUS_ACCESSOR, anonymous, 'Anonymous Token', [], now)
    txn.push(put(tokens, anonymous.key, row))
  }
  if (view.get(keyProof, ACL_STATE) === undefined) {
    txn.push(put(keyProof, ACL_STATE, { sealed: given.sealedProof }))
  }
  return { txn, answer: true }
}

/** The token that the configuration names gets all rights, once. */
export function initialManagement(
  view: Reader,
  { accessor, secret }: Pick<NewToken, 'accessor' | 'secret'>,
  now: WallMs,
): Decision<boolean> {
  if (view.get(tokens, secret.key) !== undefined) return { txn: [], answer: false }
  return { txn: firstToken(view, accessor, secret, 'Initial Management Token', now), answer: true }
}

/**
 * The first token, for whoever asks first; later only for who knows the reset index, which is told
 * to everybody and has to be written where only an operator can write.
 */
export function bootstrap(
  view: Reader,
  { accessor, secret }: Pick<NewToken, 'accessor' | 'secret'>,
  reset: number | undefined,
  now: WallMs,
): Decision<TokenRow> | Refusal {
  const state = view.get(aclState, ACL_STATE)
  if (state !== undefined && state.modifyIndex !== reset) {
    const why = `ACL bootstrap no longer allowed (reset index: ${state.modifyIndex})`
    return new Refusal(403, `Permission denied: ${why}`)
  }
  if (view.get(tokens, secret.key) !== undefined) {
    return new Refusal(500, 'Invalid Token: SecretID is already in use')
  }
  const txn = firstToken(view, accessor, secret, 'Bootstrap Token (Global Management)', now)
  return { txn, answer: txn[0]!.row as TokenRow }
}

function firstToken(
  view: Reader,
  accessor: string,
  secret: SecretParts,
  description: string,
  now: WallMs,
): readonly [Op, Op] {
  const bootstraps = (view.get(aclState, ACL_STATE)?.row.bootstraps ?? 0) + 1
  return [
    put(tokens, secret.key, tokenOf(accessor, secret, description, MANAGEMENT, now)),
    put(aclState, ACL_STATE, { bootstraps }),
  ]
}
