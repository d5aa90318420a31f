/** Conditions on paths: what they govern, what becomes of those that do not hold, the way out. */
import tap, { type Test } from 'tap'
import { openSecrets } from '../harness.ts'

const open = async (t: Test) => {
  const secrets = await openSecrets(t)
  await secrets.mount('kv', 'kv/')
  await secrets.post('kv/prod/a', { v: 1 })
  await secrets.post('kv/dev/a', { v: 1 })
  const put = (name: string, data: object) =>
    secrets.post(`sys/policies/conditions/${name}`, data as never)
  return { secrets, put }
}

tap.test('what is governed asks for the condition, whoever asks', async t => {
  const { secrets, put } = await open(t)
  const inside = { expression: 'inCidr(request.source_ip, "10.0.0.0/8")', paths: 'kv/prod/*' }
  t.equal((await put('inside', inside)).status, 204)
  const refused = await secrets.read('kv/prod/a')
  t.match(refused, {
    status: 403,
    text: /permission denied: condition "inside" \(hard-mandatory\)/,
  })
  t.equal((await secrets.post('kv/prod/a', { v: 2 })).status, 403)
  t.equal((await secrets.read('kv/prod/a', { remote: '10.1.2.3' })).body.data.v, 1)
  t.equal((await secrets.read('kv/dev/a')).status, 200)
  await put('inside', { ...inside, operations: ['delete'] })
  t.equal((await secrets.read('kv/prod/a')).status, 200)
  t.equal((await secrets.remove('kv/prod/a')).status, 403)
  await put('inside', { ...inside, enabled: false })
  t.equal((await secrets.remove('kv/prod/a')).status, 204)
})

tap.test('levels', async t => {
  const { secrets, put } = await open(t)
  const never = { expression: 'request.name == "never"', paths: ['kv/prod/a'] }
  await put('never', { ...never, level: 'advisory' })
  const advised = await secrets.read('kv/prod/a')
  t.match(advised, { status: 200, body: { warnings: ['condition "never" does not hold'] } })
  await put('never', { ...never, level: 'soft-mandatory' })
  t.equal((await secrets.read('kv/prod/a')).status, 403)
  const headers = { 'x-vault-policy-override': 'true' }
  t.equal((await secrets.read('kv/prod/a', { headers })).status, 200)
  await put('never', { ...never, level: 'hard-mandatory' })
  t.equal((await secrets.read('kv/prod/a', { headers })).status, 403)
})

tap.test('a condition may look at the body, the token and the time', async t => {
  const { secrets, put } = await open(t)
  const holds = async (expression: string) => {
    await put('one', { expression, paths: ['kv/prod/b'] })
    return (await secrets.post('kv/prod/b', { size: 3, team: 'red' })).status === 204
  }
  t.ok(await holds('request.body.size < 5 && request.body.team == "red"'))
  t.notOk(await holds('request.body.size > 5'))
  t.notOk(await holds('request.body.none == 1'), 'what fails does not hold')
  t.ok(await holds('"root" in token.policies'))
  t.ok(await holds('request.capability == "update" && request.path == "/v1/kv/prod/b"'))
  t.ok(await holds('request.time.getFullYear() >= 2026'))
})

tap.test('what could never be asked is refused, and there is a way out', async t => {
  const { secrets, put } = await open(t)
  const cases: [object, RegExp][] = [
    [{ expression: 'request.nme == ""', paths: ['a'] }, /expression, line 1, column \d+/],
    [{ expression: 'true' }, /paths must say/],
    [{ expression: 'true', paths: ['a*b'] }, /at its end alone/],
    [{ expression: 'true', paths: ['a'], level: 'hard' }, /level should be one of/],
    [{ expression: 'true', paths: ['a'], operations: ['look'] }, /operations should be some of/],
  ]
  for (const [data, text] of cases) t.match(await put('bad', data), { status: 400, text })
  await put('locked', { expression: 'false', paths: ['*'], description: 'nobody' })
  t.equal((await secrets.read('kv/dev/a')).status, 403)
  t.strictSame((await secrets.list('sys/policies/conditions')).body.data.keys, ['locked'])
  const read = await secrets.read('sys/policies/conditions/locked')
  t.match(read.body.data, { level: 'hard-mandatory', paths: ['*'], enabled: true })
  t.equal((await secrets.remove('sys/policies/conditions/locked')).status, 204)
  t.equal((await secrets.read('kv/dev/a')).status, 200)
  t.equal((await secrets.list('sys/policies/conditions')).status, 404)
})
