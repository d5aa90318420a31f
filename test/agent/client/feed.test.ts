/** A feed of a server's that an agent without a store follows: its pieces, and its end. */
import { getEventListeners } from 'node:events'
import t from 'tap'
import { streamAs } from '../../../src/agent/client/feed.ts'
import type { ForwardAnswer } from '../../../src/rpc/forward.ts'

/** A server that answers as a test says. */
function server() {
  const sent: unknown[] = []
  let cancelled = 0
  let answer = (_answer: ForwardAnswer): void => {}
  let end = (): void => {}
  const channel = {
    servers: ['one'],
    open(_method: unknown, given: { onMessage: typeof answer; onEnd: () => void }) {
      answer = given.onMessage
      end = given.onEnd
      return { send: (part: unknown) => sent.push(part), cancel: () => cancelled++ }
    },
  }
  const open = (signal: AbortSignal) =>
    streamAs({ channel: channel as never, node: 'edge-1' }, () => '')('/v1/feed', {}, 0, signal)
  const head = (): void => {
    const empty = { status: 200, headers: [], body: Buffer.alloc(0), isWhole: false }
    answer({ part: 'head', head: empty })
  }
  const piece = (text: string): void => answer({ part: 'body', body: Buffer.from(text) })
  return { open, head, piece, sent, end: () => end(), cancelled: () => cancelled }
}

t.test('however many pieces come, one hears of the end', async t => {
  const { open, head, piece, sent, end } = server()
  const { signal } = new AbortController()
  const opening = open(signal)
  head()
  const { status, body } = await opening
  t.equal(status, 200)
  const pieces = body[Symbol.asyncIterator]()
  for (let i = 0; i < 50; i++) {
    const next = pieces.next()
    await new Promise(setImmediate)
    piece(`${i}`)
    t.equal(String((await next).value), `${i}`)
  }
  t.equal(getEventListeners(signal, 'abort').length, 1)
  const last = pieces.next()
  t.equal(sent.length, 51, 'room is made for each that was taken')
  end()
  await t.rejects(last, /the server ended the call/)
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('who stops following waits for nothing more', async t => {
  const { open, head, cancelled } = server()
  const ending = new AbortController()
  const opening = open(ending.signal)
  head()
  const { body } = await opening
  const next = body[Symbol.asyncIterator]().next()
  await new Promise(setImmediate)
  ending.abort()
  await t.rejects(next, /aborted/)
  t.equal(cancelled(), 1)
})
