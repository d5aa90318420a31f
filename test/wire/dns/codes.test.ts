/** The names and numbers of types. */
import fc from 'fast-check'
import t from 'tap'
import { type TypeName, typeCode, typeName } from '../../../src/wire/dns/codes.ts'

t.test('every number has a name that gives it back', async () => {
  const number = fc.integer({ min: 0, max: 65_535 })
  fc.assert(fc.property(number, code => typeCode(typeName(code)) === code))
})

t.test('RFC 3597 5: "TYPE immediately followed by the decimal RR type number"', async t => {
  t.equal(typeName(33), 'SRV')
  t.equal(typeName(731), 'TYPE731')
  t.equal(typeCode('TYPE33'), 33)
  for (const bad of ['TYPE', 'TYPE65536', 'TYPE01', 'TYPE-1', 'srv', 'toString']) {
    t.equal(typeCode(bad as TypeName), undefined, bad)
  }
})
