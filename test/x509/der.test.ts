/** Our reader of DER: what it takes, and that everything else is refused by name. */
import assert from 'node:assert'
import fc from 'fast-check'
import forge from 'node-forge'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { DerError, type DerNode, oidOf, readDer, smallInteger } from '../../src/x509/der.ts'
import { propertyRuns } from '../run/budget.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

t.test('elements in elements', async t => {
  const node = readDer(hex('30 08 02 01 05 30 03 04 01 ff'))
  t.same(
    node.children.map(({ tag }) => tag),
    [0x02, 0x30],
  )
  t.equal(smallInteger(node.children[0]!), 5)
  t.equal(node.children[1]!.children[0]!.content.toString('hex'), 'ff')
})

t.test('what is not the one encoding', async t => {
  const cases: Record<string, [string, RegExp]> = {
    'nothing at all': ['', /cut off/],
    'a tag alone': ['30', /cut off/],
    'more after the end': ['02 01 05 00', /more after/],
    'shorter than it says': ['04 05 01 02', /cut off/],
    'shorter within': ['30 03 04 05 01', /cut off/],
    'a length that is not told': ['30 80 00 00', /not told/],
    'a length in one byte too many': ['04 81 05 0000000000', /longer than it must/],
    'a length with a leading zero': ['04 82 0005 0000000000', /longer than it must/],
    'a length of four bytes': ['04 84 00000005 0000000000', /too large/],
    'a long tag': ['1f 81 00 00', /long form/],
    'an end of contents': ['30 02 00 00', /end of contents/],
    'an arc with leading zeros': ['06 03 55 80 01', /leading zeros/],
    'an arc that is cut off': ['06 02 55 81', /cut off/],
    'no arc': ['06 00', /cut off/],
    'an arc beyond 2^53': ['06 09 a0 80 80 80 80 80 80 80 00', /too large/],
    'a negative number': ['02 01 ff', /negative/],
    'a number with leading zeros': ['02 02 00 01', /leading zeros/],
    'a truth of another byte': ['30 03 01 01 01', /neither yes nor no/],
    'nothing with content': ['30 03 05 01 00', /nothing that is/],
    'more unused bits than there are': ['03 01 01', /bit string/],
    'eight unused bits': ['03 02 08 00', /bit string/],
    'a number with leading ones': ['02 02 ff 80', /leading ones/],
    'no number': ['02 00', /without digits/],
    'a large number': ['02 08 0102030405060708', /small number/],
  }
  for (const [name, [bytes, fault]] of Object.entries(cases)) {
    const read = (): void => {
      const node = readDer(hex(bytes))
      if (node.tag === 0x06) oidOf(node)
      if (node.tag === 0x02) smallInteger(node)
    }
    t.throws(read, fault, name)
    t.throws(read, { name: 'DerError' }, name)
  }
})

/** Sequences in each other. */
function nested(depth: number): Buffer {
  let node = Buffer.from([0x05, 0x00])
  for (let i = 1; i < depth; i++) {
    const { length } = node
    const size = length < 0x80 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8]
    if (length >= 256) size.push(length & 0xff)
    node = Buffer.concat([Buffer.from([0x30, ...size]), node])
  }
  return node
}

t.test('bounds', async t => {
  t.ok(readDer(nested(limits.derDepth)))
  t.throws(() => readDer(nested(limits.derDepth + 1)), /too deeply/)
  t.throws(() => readDer(nested(4_000)), /too deeply/)
  const many = Buffer.alloc(2 * limits.derNodes, hex('0500'))
  const head = Buffer.from([0x30, 0x82, many.length >> 8, many.length & 0xff])
  t.throws(() => readDer(Buffer.concat([head, many])), /too many elements/)
  t.throws(() => readDer(Buffer.alloc(limits.derSizeBytes + 1)), /larger/)
})

t.test('property: whatever bytes come, an element or a DerError', async t => {
  const bytes = fc.uint8Array({ maxLength: 64 }).map(array => Buffer.from(array))
  const check = fc.property(bytes, der => {
    try {
      assert.strictEqual(readDer(der).whole.length, der.length)
    } catch (error) {
      assert.ok(error instanceof DerError)
    }
  })
  fc.assert(check, { numRuns: propertyRuns() })
  t.pass()
})

/** What node-forge makes of it, in our words. */
type Asn1 = { tagClass: number; type: number; composed: boolean; value: string | Asn1[] }
/** node-forge says twice whether an element is constructed. */
const withFlags = (node: Asn1): object => ({
  ...node,
  constructed: node.composed,
  value: typeof node.value === 'string' ? node.value : node.value.map(withFlags),
})

const same = (ours: DerNode, theirs: Asn1): void => {
  const tag = theirs.tagClass | (theirs.composed ? 0x20 : 0) | theirs.type
  assert.strictEqual(ours.tag, tag)
  if (typeof theirs.value === 'string') {
    assert.strictEqual(ours.content.toString('latin1'), theirs.value)
    return
  }
  assert.strictEqual(ours.children.length, theirs.value.length)
  ours.children.forEach((child, at) => {
    same(child, (theirs.value as Asn1[])[at]!)
  })
}

t.test('property: what node-forge writes is read as it was meant', async t => {
  const { asn1 } = forge
  const { tree } = fc.letrec<{ tree: Asn1; leaf: Asn1; node: Asn1 }>(tie => ({
    tree: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('leaf'), tie('node')),
    leaf: fc.record({
      tagClass: fc.constantFrom(0, 0x80),
      // Strings: what holds anything, in whatever class.
      type: fc.constantFrom(4, 7, 12, 18, 19, 20, 22, 27),
      composed: fc.constant(false),
      value: fc.string({
        maxLength: 300,
        unit: fc.integer({ min: 0, max: 255 }).map(c => String.fromCharCode(c)),
      }),
    }),
    node: fc.record({
      tagClass: fc.constantFrom(0, 0x80),
      type: fc.constantFrom(16, 17),
      composed: fc.constant(true),
      value: fc.array(tie('tree'), { maxLength: 4 }),
    }),
  }))
  const check = fc.property(tree, given => {
    const der = Buffer.from(asn1.toDer(withFlags(given) as never).getBytes(), 'latin1')
    same(readDer(der), given)
  })
  fc.assert(check, { numRuns: propertyRuns() })
  t.pass()
})

t.test('property: identifiers as node-forge writes them', async t => {
  const arcs = fc
    .tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 39 }))
    .chain(([a, b]) =>
      fc.array(fc.nat(2 ** 31 - 1), { maxLength: 8, minLength: 1 }).map(rest => [a, b, ...rest]),
    )
  const check = fc.property(arcs, numbers => {
    const content = Buffer.from(forge.asn1.oidToDer(numbers.join('.')).getBytes(), 'latin1')
    const der = Buffer.concat([Buffer.from([0x06, content.length]), content])
    assert.strictEqual(oidOf(readDer(der)), numbers.join('.'))
  })
  fc.assert(check, { numRuns: propertyRuns() })
  t.pass()
})
