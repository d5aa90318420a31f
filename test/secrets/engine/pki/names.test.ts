import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../../../src/base/errors.ts'
import {
  hostnameOf,
  otherNamesOf,
  sortNames,
  splitNames,
} from '../../../../src/secrets/engine/pki/names.ts'
import { propertyRuns } from '../../../run/budget.ts'

t.test('host names, and what is none', async t => {
  for (const [text, name] of [
    ['example.com', 'example.com'],
    ['Example.COM', 'Example.COM'],
    ['*.example.com', '*.example.com'],
    ['localhost', 'localhost'],
    ['example.com.', 'example.com.'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['*.bücher.example', '*.xn--bcher-kva.example'],
    ['Root CA', undefined],
    ['a_b.example', undefined],
    ['*.*.example', undefined],
    ['a*.example', undefined],
    ['-a.example', undefined],
    ['a..example', undefined],
    ['', undefined],
    [`${'a'.repeat(64)}.example`, undefined],
    [`${'a.'.repeat(150)}example`, undefined],
  ] as const) {
    t.equal(hostnameOf(text), name, text)
  }
})

t.test('whatever is asked for, a host name is ASCII that OpenSSL takes', async t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), text => {
      const name = hostnameOf(text)
      if (name !== undefined) t.match(name, /^[A-Za-z0-9.*-]{1,253}$/)
      const { dnsNames, emails } = sortNames(splitNames(text))
      t.ok(dnsNames.every(each => hostnameOf(each) === each))
      t.ok(emails.every(each => each.includes('@')))
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('other names keep what stands behind the colon', async t => {
  fc.assert(
    fc.property(fc.string(), value => {
      t.strictSame(otherNamesOf([`1.2.3;UTF8:${value}`, `1.2.3;utf-8:${value}`]), [
        { oid: '1.2.3', value },
        { oid: '1.2.3', value },
      ])
    }),
    { numRuns: propertyRuns() },
  )
  t.ok(otherNamesOf(['1.2.3;utf8:a', 'x']) instanceof Refusal)
})
