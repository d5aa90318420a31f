/** Rebuilding from a disk, as the command line asks for it. */
import t from 'tap'
import { recoverDisk } from '../../src/agent/recover.ts'
import { foregroundClock, systemRandom } from '../../src/base/clock.ts'
import { freshFolder } from '../fake/folder.ts'

t.test('recover: a folder that no server left is refused, and stays as it is', async t => {
  const options = { dataDir: freshFolder(t), others: [], isConfirmed: true, program: undefined }
  const world = { clock: foregroundClock, random: systemRandom, environment: process.env }
  await t.rejects(recoverDisk(options, world), { code: 'unavailable', message: /not that of a/ })
})
