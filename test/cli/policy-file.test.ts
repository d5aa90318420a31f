/**
 * Files of policy tests that nobody would write: each ends in a report or in a text that says where
 * the file is wrong, never in a fault of ours.
 */
import fc from 'fast-check'
import t from 'tap'
import { runPolicyTests } from '../../src/cli/policy-file.ts'
import { propertyRuns } from '../run/budget.ts'

const words = ['policy', 'allow', 'rules', 'holds', '__proto__', 'constructor', 'toString']
const texts = ['deny', 'key "a" { policy = "read" }', 'read key a', 'true', 'web', '1.2.3.4', '']

/** Anything at all. */
const odd = fc.letrec(tie => ({
  any: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<unknown>(...texts, null, true, 7),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...words), tie('any'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).any

/** Mostly what belongs there. */
const mostly = <T>(right: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 300, arbitrary: right }, { weight: 1, arbitrary: odd })

const some = (...list: readonly string[]) => mostly(fc.constantFrom(...list))
const lists = (...list: readonly string[]) =>
  mostly(fc.array(fc.constantFrom(...list), { maxLength: 3 }))
const named = (body: fc.Arbitrary<unknown>) =>
  mostly(fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'constructor'), mostly(body)))

const rights = ['read key a', 'write key a', 'read acl', 'list key_prefix a', 'write service web']
const identity = fc.record(
  {
    policies: lists('a', 'b', 'global-management'),
    service_identities: lists('web'),
    templated_policies: lists('builtin/dns', 'builtin/service web'),
    metadata: mostly(fc.constant({ team: 'web' })),
    allow: lists(...rights),
    deny: lists(...rights),
  },
  { requiredKeys: ['allow'] },
)
const request = fc.record(
  {
    access: some(...rights),
    identity: some('a'),
    time: some('2026-11-26T09:30:00Z'),
    source_ip: some('10.0.0.1', '::1'),
    body: odd,
  },
  { requiredKeys: ['access'] },
)
const condition = fc.record(
  {
    expression: some('true', 'request.body.a == 1', 'token.metadata.team == "web"', '1 +'),
    operations: mostly(fc.constant([{ resource: 'key', prefix: 'a' }])),
    holds: named(request),
    fails: named(request),
    ignores: named(request),
  },
  { requiredKeys: ['expression'] },
)
const root = fc.record(
  {
    default_policy: some('allow', 'deny'),
    policy: named(
      fc.record({ rules: some('acl = "read"', 'key "a" { policy = "deny" }', 'x = ') }),
    ),
    identity: named(identity),
    condition: named(condition),
  },
  { requiredKeys: [] },
)

t.test('a report, or where the file is wrong', async t => {
  let reports = 0
  await fc.assert(
    fc.asyncProperty(root, async file => {
      const read = async (): Promise<string> => 'acl = "read"'
      try {
        const { passed, failed, notes } = await runPolicyTests('x', JSON.stringify(file), read)
        reports++
        if (passed + failed === 0 || notes.some(({ at }) => !/^x:\d+$/.test(at))) {
          throw new Error('it counts nothing, or says nowhere')
        }
      } catch (error) {
        if ((error as Error).name !== 'TestFileProblem') throw error
        if (!/^x: ?(\d+: |line \d+)/.test((error as Error).message)) throw error
      }
    }),
    { numRuns: propertyRuns() * 5 },
  )
  t.ok(reports > 0, `${reports} reports`)
})
