/** What a device's settings may be, by its declaration; each kind stands in the list once. */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { deviceKinds } from '../../src/audit/device/mod.ts'
import { type DeviceField, readField, writeTimeoutMsOf } from '../../src/audit/device.ts'
import { limits } from '../../src/base/limits.ts'

t.test('fields by their kind', async t => {
  const text: DeviceField = { kind: 'text', doc: '', oneOf: ['a', 'b'] }
  t.same(readField(text, 'a'), { value: 'a' })
  t.match(readField(text, 'c'), { problem: 'must be one of a, b' })
  t.match(readField(text, 7), { problem: 'must be a string' })
  const duration: DeviceField = { kind: 'duration', doc: '' }
  t.same(readField(duration, '2s'), { value: 2_000 })
  for (const bad of ['', '0s', '-1s', 5, 'x', null]) {
    t.match(readField(duration, bad), { problem: /must be a duration/ })
  }
  const strings: DeviceField = { kind: 'strings', doc: '' }
  t.strictSame(readField(strings, { a: 'x' }), { value: { a: 'x' } })
  for (const bad of [{ a: 1 }, [], 'x', null]) {
    t.match(readField(strings, bad), { problem: 'must be an object of strings' })
  }
  const refused: DeviceField = { kind: 'text', doc: '', refused: 'not ours' }
  t.match(readField(refused, 'x'), { problem: 'not ours' })
})

t.test('every kind says what can be said of any', async t => {
  const files = readdirSync('src/audit/device').filter(name => !/^(mod|connect)\.ts$/.test(name))
  t.same(
    deviceKinds.map(({ type }) => `${type}.ts`).toSorted(),
    files.toSorted(),
    'each file is one kind, and in the list',
  )
  for (const { fields, doc } of deviceKinds) {
    t.match(fields, { type: {}, format: {}, delivery_guarantee: {}, write_timeout: {} })
    t.ok(doc)
  }
})

t.test('the time of one write', async t => {
  t.equal(writeTimeoutMsOf({ values: {} }), limits.auditWriteTimeoutMs)
  t.equal(writeTimeoutMsOf({ values: { write_timeout: 500 } }), 500)
})
