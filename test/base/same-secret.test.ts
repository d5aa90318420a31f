/** Secrets are the same byte by byte, whatever their lengths. */
import t from 'tap'
import { isSameSecret, isSameText } from '../../src/base/same-secret.ts'

t.test('the same, another, another length, letters beyond ASCII', async t => {
  for (const isSame of [isSameSecret, isSameText]) {
    t.equal(isSame('a secret', 'a secret'), true)
    t.equal(isSame('', ''), true)
  }
  for (const [one, other] of [
    ['a secret', 'a secreT'],
    ['a secret', 'a secret '],
    ['', 'a'],
    ['é', 'e\u0301'],
  ] as const) {
    t.equal(isSameSecret(one, other), false, `${one} ${other}`)
    t.equal(isSameText(one, other), false, `${one} ${other}`)
  }
})
