/** Where our own files are found: from the sources here, from what is emitted in test/cli/pack.test.ts. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { packageFile, startFile } from '../../src/base/places.ts'

const root = path.resolve(import.meta.dirname, '../..')

t.equal(packageFile('package.json'), path.join(root, 'package.json'))
t.equal(startFile('base/io/thread'), path.join(root, 'src/base/io/thread.ts'))
for (const name of ['base/io/thread', 'checks/program-child.run']) t.ok(existsSync(startFile(name)))
