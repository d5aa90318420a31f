/**
 * Findings: what is refused, what has no effect, what can never match.
 */
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { lintRules } from '../../../src/identity/rules/lint.ts'

/** Each finding on one line. */
const shown = (text: string): string[] =>
  lintRules(text).map(one => `${one.line} ${one.severity}: ${one.text}`)

t.test('nothing to say', async t => {
  t.same(shown('key "a" { policy = "read" } key_prefix "a/" { policy = "read" }'), [])
  t.same(shown('key "" { policy = "list" } service_prefix "" { policy = "read" }'), [])
})

t.test('what is refused', async t => {
  t.same(shown('\nacl = "nope"'), ['2 error: Invalid acl policy: "nope"'])
})

t.test('what has no meaning', async t => {
  t.same(
    shown(`servce "web" { policy = "write" }
      namespace_prefix "" { acl = "write" }
      sentinel { }
      zzzz = 1
      service "web" { policy = "read" polcy = "write" }
      acl = "read"
      acl = "write"`),
    [
      '1 warning: block "servce" is not known and has no effect, did you mean "service"?',
      '2 warning: "namespace_prefix" is for Consul Enterprise: nothing within it has an effect',
      '3 warning: "sentinel" is for Consul Enterprise: it has no effect',
      '4 warning: block "zzzz" is not known and has no effect',
      '5 warning: key "polcy" is not known and has no effect, did you mean "policy"?',
      '6 warning: "acl" is set again below: this value has no effect',
    ],
  )
  t.same(shown(''), ['1 warning: there is no rule: the text grants nothing'])
})

t.test('rules for the same name', async t => {
  t.same(
    shown(`key "a" { policy = "read" }
      key_prefix "a" { policy = "write" }
      node "a" { policy = "write" }
      key "a" { policy = "deny" }
      node "a" { policy = "write" }`),
    [
      '4 warning: line 1 has a rule for the same name: deny decides before write, write before read',
      '5 warning: line 3 has a rule for the same name: with the same effect',
    ],
  )
})

t.test('names that are not what they look like', async t => {
  t.same(
    shown(`key "a/*" { policy = "read" }
      service "" { policy = "read" }
      key "b/" { policy = "write" }
      identity "web" { policy = "read" intentions = "read" }`),
    [
      '1 warning: "*" stands for itself in a name; ' +
        'key_prefix "a/" { policy = "read" } covers all that begin so',
      '2 warning: never matches, as no service has this name; see service_prefix',
      '3 warning: is for one key alone; ' +
        'key_prefix "b/" { policy = "write" } covers what is below it',
      '4 warning: intentions of an identity have no effect',
    ],
  )
})

t.test('bounds: at the bound and one past it', async t => {
  const read = 'key "a*" { policy = "read" }\n'
  t.equal(lintRules('x {}\n'.repeat(limits.aclFindings - 1) + read).length, limits.aclFindings)
  t.equal(lintRules('x {}\n'.repeat(limits.aclFindings + 1) + read).length, limits.aclFindings)
  t.equal(lintRules(read.repeat(limits.aclFindings)).length, limits.aclFindings)
})
