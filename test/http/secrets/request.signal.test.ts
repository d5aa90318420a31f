/** Whoever works for a request that another agent forwarded hears that its client is gone. */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { forwarded } from '../../../src/http/forwarded.ts'
import { readHead } from '../../../src/http/secrets/request.ts'

/** The facts of a login that came by another agent, what feeds it, and its response. */
function login(t: Test) {
  const head = {
    ...{ method: 'POST', target: '/v1/sys/mfa/validate', headers: {}, remote: '10.0.0.1' },
    agent: { node: 'web-1', nodeId: 'n-1' },
  }
  const sink = { head: () => {}, body: () => {}, end: () => {}, cut: () => {} }
  const came: Parameters<Parameters<typeof forwarded>[3]>[] = []
  const feed = forwarded(
    head,
    sink,
    () => {},
    (...both) => came.push(both),
  )
  const [message, response] = came[0]!
  const read = readHead(message, response, 'id')
  if (read instanceof Refusal) throw new Error(read.text)
  t.teardown(() => feed.leave())
  return { facts: read.facts, feed, response }
}

t.test('while it is worked for', async t => {
  const { facts, feed } = login(t)
  const signal = facts.signal!
  t.equal(signal.aborted, false)
  t.equal(facts.signal, signal, 'the same for all who ask')
  feed.leave()
  await once(signal, 'abort')
})

t.test('before', async t => {
  const { facts, feed } = login(t)
  feed.leave()
  t.equal(facts.signal!.aborted, true)
})

t.test('once it is answered', async t => {
  const { facts, response } = login(t)
  const signal = facts.signal!
  response.end()
  await once(signal, 'abort')
})
