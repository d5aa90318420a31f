/** Secrets that are kept: what holds of the one that keeps them as they are. */
import t from 'tap'
import { plainSealer } from '../../src/base/sealer.ts'

t.test('what was sealed can be opened, and nothing stays nothing', async t => {
  for (const text of ['', 'a', 'ü\u0000']) t.equal(plainSealer.open(plainSealer.seal(text)), text)
  t.equal(plainSealer.seal(''), '')
})
