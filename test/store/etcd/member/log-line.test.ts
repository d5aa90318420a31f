/** What is taken of a member's log. */
import t from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { readMemberLine, saysRemoved } from '../../../../src/store/etcd/member/log-line.ts'

const line = (fields: object): string => JSON.stringify(fields)

t.test('log line: information is for debugging, warnings stay', async t => {
  const level = (name: string) => readMemberLine(line({ level: name, msg: 'm' }))?.level
  t.same(['debug', 'info', 'warn', 'error', 'fatal', 'panic', 'new'].map(level), [
    ...['trace', 'debug', 'warn', 'error', 'error', 'error'],
    'warn',
  ])
})

t.test('log line: where and why are taken, what was asked is not', async t => {
  const read = readMemberLine(
    line({
      level: 'warn',
      msg: 'apply request took too long',
      took: '1.2s',
      'remote-peer-id': 'abc',
      request: 'txn of somebody',
      error: 'x'.repeat(2 * limits.memberLogChars),
    }),
  )
  t.equal(read?.message, 'apply request took too long')
  t.strictSame(Object.keys(read?.fields ?? {}).sort(), ['error', 'peer', 'took'])
  t.equal(String(read?.fields.error).length, limits.memberLogChars + 1)
})

t.test('log line: what is no line of its logger is a warning', async t => {
  t.same(readMemberLine('panic: out of memory'), {
    level: 'warn',
    message: 'panic: out of memory',
    fields: {},
  })
  t.equal(readMemberLine('null')?.message, 'null')
  t.equal(readMemberLine('  '), undefined)
  t.equal(readMemberLine('{"level":"info","msg":5}')?.message, '')
})

t.test('log line: a warning of what is so by intention is none', async t => {
  const levelOf = (msg: string) => readMemberLine(line({ level: 'warn', msg }))?.level
  t.equal(levelOf('simple token is not cryptographically signed'), 'debug')
  t.equal(levelOf('established TCP streaming connection with remote peer'), 'debug')
  t.equal(levelOf('peer became inactive (message send to peer failed)'), 'warn')
  t.equal(readMemberLine('WARNING: 2026/11/26 [core] grpc: Server failed')?.level, 'debug')
})

t.test('log line: a member that was removed is known by its words', async t => {
  t.ok(saysRemoved('the member has been permanently removed from the cluster'))
  t.notOk(saysRemoved('removed member'))
})
