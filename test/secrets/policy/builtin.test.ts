/**
 * The policies that are there from the start: what they give, and to whom.
 */
import t from 'tap'
import {
  capabilitiesAt,
  compilePolicies,
  defaultPolicy,
  type PolicyIdentity,
  PolicyProblem,
  parsePolicy,
  responseWrappingPolicy,
} from '../../../src/secrets/policy/mod.ts'
import { patternOf } from '../../../src/secrets/policy/pattern.ts'

const identity: PolicyIdentity = { id: 'e-1', name: 'ann', metadata: {}, aliases: [], groups: [] }

/** What a text gives at the paths that it names itself, with templates filled. */
function given(text: string, who?: PolicyIdentity): Record<string, string> {
  const document = parsePolicy(text)
  if (document instanceof PolicyProblem) throw new Error(document.text)
  const compiled = compilePolicies([{ policy: 'p', namespace: '', document }], { identity: who })
  const rules = compiled.rulesAt(0).map(rule => rule.pattern.text)
  const paths = rules.map(one => patternOf(one).stem.replace('+', 'x'))
  return Object.fromEntries(paths.map(path => [path, capabilitiesAt(compiled, path, 0).join()]))
}

t.test('default', async t => {
  const withoutEntity = {
    'auth/token/lookup-self': 'read',
    'auth/token/renew-self': 'update',
    'auth/token/revoke-self': 'update',
    'sys/capabilities-self': 'update',
    'sys/internal/ui/resultant-acl': 'read',
    'sys/renew': 'update',
    'sys/leases/renew': 'update',
    'sys/leases/lookup': 'update',
    'cubbyhole/': 'create,delete,list,read,update',
    'sys/wrapping/wrap': 'update',
    'sys/wrapping/lookup': 'update',
    'sys/wrapping/unwrap': 'update',
    'sys/tools/hash': 'update',
    'sys/tools/hash/': 'update',
    'identity/oidc/provider/x/authorize': 'read,update',
  }
  t.same(given(defaultPolicy), withoutEntity)
  t.same(given(defaultPolicy, identity), {
    ...withoutEntity,
    'identity/entity/id/e-1': 'read',
    'identity/entity/name/ann': 'read',
  })
})

t.test('response-wrapping', async t => {
  t.same(given(responseWrappingPolicy), {
    'cubbyhole/response': 'create,read',
    'sys/wrapping/unwrap': 'update',
  })
})
