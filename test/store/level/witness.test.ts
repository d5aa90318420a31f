/**
 * The witness file: the newest of two slots, whatever happened to the other.
 */
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Witness } from '../../../src/store/level/witness.ts'
import { freshFolder } from '../../fake/folder.ts'

const chain = (n: number): Buffer => Buffer.alloc(32, n)
const journal = { sequence: 0, chain: chain(0) }

function lastOf(path: string): number | undefined {
  const witness = new Witness(path)
  const { last } = witness
  witness.close()
  if (last !== undefined && !last.chain.equals(chain(last.revision % 256))) return Number.NaN
  return last?.revision
}

t.test('remembers the newest state, for this user alone', async t => {
  const path = join(freshFolder(t), 'witness')
  t.equal(lastOf(path), undefined)
  for (const n of [0, 1, 2, 300, 301, 2 ** 40]) {
    const witness = new Witness(path)
    witness.note(n, chain(n % 256), journal)
    witness.close()
    t.equal(lastOf(path), n)
  }
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(statSync(path).size, 128)
})

t.test('a slot that is torn at any byte leaves the other', async t => {
  const path = join(freshFolder(t), 'witness')
  const witness = new Witness(path)
  witness.note(7, chain(7), journal)
  witness.note(8, chain(8), journal)
  const before = readFileSync(path)
  witness.note(9, chain(9), journal)
  witness.close()
  const after = readFileSync(path)
  for (let cut = 0; cut <= 64; cut++) {
    // The first `cut` bytes of the slot that was being written are the new ones.
    const at = before.compare(after, 0, 64, 0, 64) === 0 ? 64 : 0
    const torn = Buffer.from(before)
    after.copy(torn, at, at, at + cut)
    writeFileSync(path, torn)
    const last = lastOf(path)
    if (last !== 8 && last !== 9) t.fail(`cut at ${cut}: ${last}`)
  }
  for (let bit = 0; bit < 128 * 8; bit += 5) {
    const flipped = Buffer.from(after)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    writeFileSync(path, flipped)
    const last = lastOf(path)
    if (last !== 8 && last !== 9) t.fail(`bit ${bit}: ${last}`)
  }
  for (const size of [0, 1, 63]) {
    writeFileSync(path, after.subarray(0, size))
    t.equal(lastOf(path), undefined, `${size} bytes`)
  }
})

t.test('a reset leaves no later state behind', async t => {
  const path = join(freshFolder(t), 'witness')
  const witness = new Witness(path)
  witness.note(8, chain(8), journal)
  witness.note(9, chain(9), journal)
  witness.reset(5, chain(5), journal)
  witness.close()
  t.equal(lastOf(path), 5)
  const again = new Witness(path)
  again.note(6, chain(6), journal)
  again.close()
  t.equal(lastOf(path), 6)
})

t.test('the journal is witnessed beside the revision, also where that stands still', async t => {
  const path = join(freshFolder(t), 'witness')
  const witness = new Witness(path)
  for (const sequence of [1, 2, 3]) witness.note(7, chain(7), { sequence, chain: chain(sequence) })
  witness.close()
  const again = new Witness(path)
  t.match(again.last, { revision: 7, journal: { sequence: 3, check: Buffer.alloc(12, 3) } })
  // The older slot is the next to be written, whichever was the newer by revision alone.
  again.note(7, chain(7), { sequence: 4, chain: chain(4) })
  again.close()
  const last = new Witness(path)
  t.equal(last.last?.journal.sequence, 4)
  last.close()
})

t.test('a file that cannot be opened is an error', async t => {
  const folder = freshFolder(t)
  t.throws(() => new Witness(folder), { code: 'EISDIR' })
  t.throws(() => new Witness(join(folder, 'no', 'witness')), { code: 'ENOENT' })
  chmodSync(folder, 0o700)
})
