/**
 * Rendered answers: made once for everybody who asks, in slices where they are long.
 */
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { publicIndex, revision } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { type Asking, askEach, askOne, json } from '../../src/http/declare.ts'
import { AnswerCache, gzipOf, pieceOf, type Rendered, rendered } from '../../src/http/render.ts'
import type { Asked, Question, View } from '../../src/store/ask.ts'

const at = (newest: number): Asked => ({
  view: {} as View,
  newest: revision(newest),
  index: publicIndex(newest),
})

const question = <T>(read: () => T): Question<T> => ({
  key: 'q',
  target: { scope: 's' },
  newest: () => revision(1),
  read,
})

const textOf = ({ chunks }: Rendered): string => Buffer.concat(chunks).toString()
const answer = async (asking: Asking, newest: number, cache = new AnswerCache()) =>
  cache.answer(asking, at(newest), 'key', false)

function* numbers(count: number): Iterable<number> {
  for (let i = 0; i < count; i++) yield i
}

t.test('one thing, and lists in their brackets', async t => {
  const one = await answer(
    askOne(
      question(() => 7),
      value => json({ value }),
    ),
    1,
  )
  t.match(one, { status: 200, type: 'application/json', newest: 1 })
  t.equal(textOf(one), '{"value":7}')
  const each = (n: number): string => String(n)
  t.equal(
    textOf(
      await answer(
        askEach(
          question(() => [1, 2]),
          each,
        ),
        1,
      ),
    ),
    '[1,2]',
  )
  t.equal(
    textOf(
      await answer(
        askEach(
          question(() => []),
          each,
        ),
        1,
      ),
    ),
    '[]',
  )
  const curly = askEach(
    question(() => [1]),
    n => `"a":${n}`,
    { brackets: '{}' },
  )
  t.equal(textOf(await answer(curly, 1)), '{"a":1}')
  const none = askEach(
    question(() => []),
    each,
    { none: { status: 404, body: '' } },
  )
  t.match(await answer(none, 1), { status: 404, sizeBytes: 0 })
})

t.test('items that a filter does not keep are left out, and undefined is none', async t => {
  const filter = { text: 'even', keeps: (n: number) => n % 2 === 0 }
  const few = askEach(
    question(() => [1, undefined, 2, 3, 4]),
    n => String(n),
    { filter },
  )
  t.equal(textOf(await answer(few, 1)), '[2,4]')
  t.match(few, { variant: 'even', isPassing: true })
  const nothing = askEach(
    question(() => [1, 3]),
    n => String(n),
    { filter },
  )
  t.equal(textOf(await answer(nothing, 1)), '[]')
  const long = askEach(
    question(() => numbers(300_000)),
    n => String(n),
    { filter: { text: 'few', keeps: (n: number) => n % 100_000 === 7 } },
  )
  const cut = new AnswerCache().answer(long, at(1), 'key', false)
  t.ok(cut instanceof Promise, 'also what is left out takes time')
  t.equal(textOf(await cut), '[7,100007,200007]')
})

t.test('long keys count as much as answers do', async t => {
  const cache = new AnswerCache()
  let reads = 0
  const asking = askOne(
    question(() => ++reads),
    value => json(value),
  )
  const ask = async (key: string) => cache.answer(asking, at(1), key, false)
  const first = await ask('first')
  const keyChars = limits.answerCacheSizeBytes / 8
  for (let i = 0; i < 5; i++) await ask(`${i}${'x'.repeat(keyChars)}`)
  t.not(await ask('first'), first, 'it had to go')
})

t.test('the same state is rendered once, another one anew', async t => {
  let reads = 0
  const asking = askOne(
    question(() => ++reads),
    value => json(value),
  )
  const cache = new AnswerCache()
  for (let i = 0; i < 3; i++) t.equal(textOf(await answer(asking, 5, cache)), '1')
  t.equal(textOf(await answer(asking, 6, cache)), '2')
  t.equal(reads, 2)
})

t.test('a long list is rendered in slices, once for all who ask meanwhile', async t => {
  let reads = 0
  const asking = askEach(
    question(() => {
      reads++
      return numbers(300_000)
    }),
    n => JSON.stringify({ n, text: 'x'.repeat(10) }),
  )
  const cache = new AnswerCache()
  const asked = [1, 2, 3].map(() => cache.answer(asking, at(9), 'key', false))
  t.ok(asked[0] instanceof Promise, 'the loop is given back')
  const [first, ...others] = await Promise.all(asked)
  t.equal(reads, 1)
  for (const other of others) t.equal(other, first)
  t.ok(first!.chunks.length > 3)
  t.equal(JSON.parse(textOf(first!)).length, 300_000)
  const later = cache.answer(asking, at(10), 'key', false)
  t.equal(JSON.parse(textOf(await later)).length, 300_000)
  t.equal(reads, 2)
})

t.test('a fault in rendering is told, and forgotten', async t => {
  let isBad = true
  const asking = askEach(
    question(() => numbers(100_000)),
    n => {
      if (isBad && n === 99_999) throw new Error('bad row')
      return String(n)
    },
  )
  const cache = new AnswerCache()
  await t.rejects((async () => cache.answer(asking, at(1), 'key', false))(), { message: 'bad row' })
  isBad = false
  t.ok(await cache.answer(asking, at(1), 'key', false))
})

t.test('compressed where it is worth it, also in pieces', async t => {
  const small = rendered({ status: 200, body: 'a' }, revision(1), publicIndex(1))
  t.equal(gzipOf(small), undefined)
  const body = JSON.stringify('abc'.repeat(2_000))
  const large = rendered({ status: 200, body }, revision(1), publicIndex(1))
  t.equal(gunzipSync(gzipOf(large)!).toString(), body)
  t.equal(gzipOf(large), gzipOf(large), 'once')
  const pieces = [Buffer.from('['), Buffer.from('"x",'.repeat(1_000)), Buffer.from('1]')]
  const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0)
  const joined = gzipOf({ ...large, chunks: pieces, sizeBytes, gzipped: undefined })
  t.equal(gunzipSync(joined!).toString(), Buffer.concat(pieces).toString())
})

t.test('a small body in one piece, byte for byte; others as they are', async t => {
  const of = (body: string | Buffer) => rendered({ status: 200, body }, revision(1), publicIndex(1))
  const bytesOf = (made: Rendered): Buffer => {
    const piece = pieceOf(made)
    t.type(piece, 'string')
    return Buffer.from(piece as string, 'latin1')
  }
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  t.strictSame(bytesOf(of(every)), every)
  t.strictSame(bytesOf(of('"é€"')), Buffer.from('"é€"'))
  t.equal(pieceOf(of('')), '')
  const largest = of('x'.repeat(8_192))
  t.equal(pieceOf(largest), pieceOf(largest))
  const large = of('x'.repeat(8_193))
  t.equal(pieceOf(large), large.chunks)
  const sliced = { ...of('ab'), chunks: [Buffer.from('a'), Buffer.from('b')] }
  t.equal(pieceOf(sliced), sliced.chunks)
})

t.test('pretty JSON has four spaces and ends its line', async t => {
  const pretty = rendered({ status: 200, body: '{"a":[1]}' }, revision(1), publicIndex(1), true)
  t.equal(textOf(pretty), '{\n    "a": [\n        1\n    ]\n}\n')
  const text = { status: 200, body: '{"a":1}', type: 'text/plain' }
  t.equal(textOf(rendered(text, revision(1), publicIndex(1), true)), '{"a":1}')
})
