/**
 * A process that writes as fast as it can until it is killed: `writer.ts <folder> <round>`.
 *
 * Each of its writers owns a key and writes the numbers from its start upwards, to two tables in
 * one transaction; now and then it deletes instead. A line `<writer> <number> <revision>` is
 * printed after each answer, so that whoever reads them knows what must have survived. The journal
 * has a record of each with the same words; now and then one is refused, and recorded all the same.
 */
import { writeSync } from 'node:fs'
import { Refusal } from '../../src/base/errors.ts'
import type { JournalEntry } from '../../src/store/journal.ts'
import { isRefusal, type Op } from '../../src/store/store.ts'
import { openLevel } from './level.ts'
import { opsOf, WRITERS } from './numbers.ts'

const [folder = '', round = '0'] = process.argv.slice(2)
const FIRST_OF_ROUND = 1_000_000

const store = await openLevel(folder)
writeSync(1, 'open\n')
await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))

async function write(writer: number): Promise<void> {
  for (let number = Number(round) * FIRST_OF_ROUND; ; number++) {
    const txn: Op[] = opsOf(writer, number)
    const record: JournalEntry = outcome =>
      Buffer.from(JSON.stringify({ writer, number, ...outcome }), 'utf8')
    if (number % 11 === 3) await store.write(() => new Refusal(403, 'no'), record)
    const written = await store.write(() => ({ txn, answer: undefined }), record)
    if (isRefusal(written)) throw new Error(written.text)
    writeSync(1, `${writer} ${number} ${written.revision}\n`)
  }
}
