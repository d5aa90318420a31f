/**
 * Profiles in pprof's form: what a small one says, read back field by field.
 */
import t from 'tap'
import { encodePprof } from '../../src/base/pprof.ts'

interface Field {
  readonly field: number
  readonly value: number | Buffer
}

/** The fields of a message, in order. */
function fieldsOf(bytes: Buffer): Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = (): number => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return Number(value)
    }
  }
  while (at < bytes.length) {
    const key = varint()
    if ((key & 7) === 0) fields.push({ field: key >> 3, value: varint() })
    else {
      const size = varint()
      fields.push({ field: key >> 3, value: bytes.subarray(at, at + size) })
      at += size
    }
  }
  return fields
}

const only = (fields: Field[], field: number) =>
  fields.filter(one => one.field === field).map(({ value }) => value)

const frame = (functionName: string, lineNumber: number) => ({
  functionName,
  url: 'file:///a.ts',
  lineNumber,
})

t.test('stacks from within, with numbers and times; idle time is none', async t => {
  const bytes = encodePprof(
    {
      nodes: [
        { id: 1, callFrame: frame('(root)', -1), children: [2, 4] },
        { id: 2, callFrame: frame('outer', 9), children: [3] },
        { id: 3, callFrame: frame('', 19) },
        { id: 4, callFrame: frame('(idle)', -1) },
      ],
      startTime: 0,
      endTime: 5_000,
      samples: [3, 4, 3, 2],
      timeDeltas: [1_000, 9_000, 500, 250],
    },
    1_700_000_000_000,
    1_000,
  )
  const fields = fieldsOf(bytes)
  const texts = only(fields, 6).map(String)
  t.equal(texts[0], '')
  const samples = only(fields, 2).map(sample => {
    const parts = fieldsOf(sample as Buffer)
    return [1, 2].map(field => [...numbersOf(only(parts, field)[0] as Buffer)])
  })
  t.equal(samples.length, 2)
  const functions = only(fields, 5).map(one => fieldsOf(one as Buffer))
  const nameOf = (id: number): string | undefined => {
    const found = functions.find(one => only(one, 1)[0] === id)
    return texts[Number(only(found ?? [], 2)[0])]
  }
  const named = samples.map(([stack, values]) => [stack?.map(nameOf), values])
  t.same(named, [
    [['outer'], [1, 250_000]],
    [
      ['(anonymous)', 'outer'],
      [2, 1_500_000],
    ],
  ])
  t.same(only(fields, 9), [1_700_000_000_000 * 1e6])
  t.same(only(fields, 10), [5_000_000])
  t.same(only(fields, 12), [1_000_000])
  const lines = only(fields, 4).map(one => {
    const line = only(fieldsOf(one as Buffer), 4)[0] as Buffer
    return only(fieldsOf(line), 2)[0]
  })
  t.same(lines, [10, 20], 'lines count from one')
})

function* numbersOf(packed: Buffer): Iterable<number> {
  let value = 0
  let shift = 0
  for (const byte of packed) {
    value += (byte & 0x7f) * 2 ** shift
    shift += 7
    if (byte >= 0x80) continue
    yield value
    value = 0
    shift = 0
  }
}
