/** What is said of members that do not answer, and which connections are kept. */
import t from 'tap'
import {
  type MemberOperator,
  Operators,
  whyOf,
} from '../../../../src/store/etcd/member/operator.ts'

t.test('operator: why a member does not answer, with what to look at', async t => {
  const cases: [string, RegExp][] = [
    ['connect ECONNREFUSED 10.0.0.2:2379', /is its server running/],
    ['connect EHOSTUNREACH 10.0.0.2:2379', /machine cannot be reached/],
    ['Deadline exceeded after 2.0s', /firewall/],
    ['self-signed certificate in certificate chain', /do the clocks agree/],
    ['something else', /^something else$/],
  ]
  for (const [text, expected] of cases) t.match(whyOf(new Error(text)), expected, text)
})

t.test('operator: ready is who has a leader, a vote and the agreement of the others', async t => {
  const say = (status: object, confirm = async (): Promise<void> => {}) =>
    new Operators({}, async () => fake({ status: async () => status as never, confirm }))
  const well = { leaderId: '1', isLearner: false }
  t.equal(await say(well).ready('https://a:1'), '')
  t.match(await say({ ...well, leaderId: '' }).ready('https://a:1'), /no leader/)
  t.match(await say({ ...well, isLearner: true }).ready('https://a:1'), /learner/)
  const refused = async (): Promise<void> => {
    throw new Error('request timed out')
  }
  t.match(await say(well, refused).ready('https://a:1'), /no answer in time/)
})

t.test('operator: one connection a member, closed when it is of no use', async t => {
  const closed: string[] = []
  const operators = new Operators({}, async endpoint =>
    fake({ close: () => void closed.push(endpoint) }),
  )
  t.equal(await operators.at('a'), await operators.at('a'))
  await operators.at('b')
  operators.keep(['b'])
  await operators.at('b')
  t.same(closed, ['a'])
  operators.close()
  await Promise.resolve()
  t.same(closed, ['a', 'b'])
})

const fake = (parts: Partial<MemberOperator>): MemberOperator => parts as MemberOperator
