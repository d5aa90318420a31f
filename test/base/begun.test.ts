/** A stream whose first piece is there: nothing is lost, and a fault before it is told at once. */
import t from 'tap'
import { begun, letGo } from '../../src/base/begun.ts'

async function* counting(
  upTo: number,
  fault?: Error,
  ended = () => {},
): AsyncGenerator<number, void, undefined> {
  try {
    for (let at = 0; at < upTo; at++) yield at
    if (fault !== undefined) throw fault
  } finally {
    ended()
  }
}

t.test('all items in their order, whatever their number', async t => {
  for (const upTo of [0, 1, 5]) {
    const found: number[] = []
    for await (const item of await begun(counting(upTo))) found.push(item)
    t.same(
      found,
      Array.from({ length: upTo }, (_, at) => at),
    )
  }
})

t.test('a fault before the first one, and one behind it', async t => {
  const fault = new Error('no')
  await t.rejects(begun(counting(0, fault)), fault)
  const late = await begun(counting(1, fault))
  t.same(await late.next(), { value: 0, done: false })
  await t.rejects(late.next(), fault)
})

t.test('whoever stops reading ends what it comes from', async t => {
  let ends = 0
  const items = await begun(counting(9, undefined, () => ends++))
  await items.next()
  await items.return()
  t.equal(ends, 1)
})

t.test('what nobody reads after all is ended, whether it was read from or not', async t => {
  let ends = 0
  const items = await begun(counting(9, undefined, () => ends++))
  await letGo(() => items)
  t.equal(ends, 1)
  await letGo(() => counting(9, undefined, () => ends++))
  t.equal(ends, 2)
  await letGo(() => counting(0, new Error('no'), () => ends++))
  t.equal(ends, 3, 'nobody hears of what goes wrong')
})
