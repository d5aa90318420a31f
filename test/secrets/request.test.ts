/**
 * Requests as all faces make them: one form of a path, data as JSON, a record before the answer.
 */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import type { SecretsRequest } from '../../src/secrets/decide.ts'
import { canonicalPath, dataOf, isWrite, pathFor, recorded } from '../../src/secrets/request.ts'
import { goingOn } from './going-on.ts'

t.test('paths', async t => {
  t.equal(canonicalPath('/secret//data/a'), 'secret/data/a')
  t.equal(canonicalPath('secret/ä b'), 'secret/ä b')
  for (const name of ['a/../b', '..', 'a/.', './a', 'a\ufffd', 'x'.repeat(10_000)]) {
    t.ok(canonicalPath(name) instanceof Refusal, name.slice(0, 20))
  }
  t.equal(pathFor('list', 'a'), 'a/')
  t.equal(pathFor('scan', 'a/'), 'a/')
  t.equal(pathFor('read', 'a/'), 'a/')
  t.match(pathFor('update', 'a/'), { status: 400 })
  t.same(
    ['update', 'patch', 'delete'].map(one => isWrite(one as 'patch')),
    [true, true, false],
  )
})

t.test('data', async t => {
  const json = (text: string) => dataOf('application/json', Buffer.from(text))
  t.same(json('{"n":9223372036854775807}'), { n: 9223372036854775807n })
  t.same([json(''), json('null')], [{}, {}])
  for (const text of ['[]', '1', '{', '{"a":'.repeat(2_000)]) {
    t.match(json(text), { status: 400, text: /^error parsing JSON/ }, text.slice(0, 10))
  }
})

t.test('nothing is answered before its record is kept', async t => {
  const facts = { id: 'r-1', remote: '127.0.0.1', wrapTtlMs: undefined, headers: {}, isList: false }
  const request: SecretsRequest = {
    ...{ operation: 'read', path: 'secret/a', namespace: '', token: '', data: {}, facts },
  }
  const sent = { method: 'GET', bodySizeBytes: 0 }
  const denied = new Refusal(403, 'permission denied')
  let keep: (() => void) | undefined
  const told: unknown[] = []
  const records = {
    answered(_who: unknown, answer: object) {
      told.push(answer)
      return new Promise<void>(resolve => {
        keep = resolve
      })
    },
  }
  let isAnswered = false
  const answer = Promise.resolve(recorded(records, request, sent, () => denied)).then(given => {
    isAnswered = true
    return given
  })
  await new Promise(resolve => setImmediate(resolve))
  t.same(told, [{ status: 403, reason: 'permission denied' }])
  t.notOk(isAnswered)
  keep!()
  t.equal(await answer, denied)
  t.equal(
    recorded(undefined, request, sent, caller => (caller ? DENIED : denied)),
    denied,
  )
  const health = { ...request, path: 'sys/health' }
  t.equal(
    recorded(records, health, sent, () => denied),
    denied,
    'asked at any time',
  )
  t.equal(told.length, 1)
})

const DENIED = new Refusal(400, '')

t.test('an answer that goes on is let go of where no record of it can be kept', async t => {
  const { held, parts } = goingOn()
  const facts = { id: 'a', remote: '', wrapTtlMs: undefined, headers: {}, isList: false }
  const request: SecretsRequest = {
    ...{ operation: 'read', path: 'sys/storage/raft/snapshot', namespace: '', token: '' },
    ...{ data: {}, facts },
  }
  const records = { answered: () => Promise.reject(new Error('the disk is full')) }
  const handle = () => ({ status: 200, body: '', type: 'x', parts })
  const sent = { method: 'GET', bodySizeBytes: 0 }
  await t.rejects(async () => recorded(records, request, sent, handle), /the disk is full/)
  await new Promise(setImmediate)
  t.equal(held.isFreed, true)
})
