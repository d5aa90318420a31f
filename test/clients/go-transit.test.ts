/**
 * Keys of transit cross to OpenBao's own arithmetic (keysutil) and back: it opens and verifies what
 * our server made, and our server what it made with the same keys.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { absent, tooOldGo } from '../run/clients.ts'
import { checkRestored } from '../secrets/engine/transit/vectors/checking.ts'
import { kinds, makeKey } from '../secrets/engine/transit/vectors/making.ts'
import { serverAt } from '../secrets/engine/transit/vectors/server.ts'
import type { KeyVector } from '../secrets/engine/transit/vectors/vectors.ts'
import { buildGo } from './go-build.ts'
import { assertScript, launch, tempFolder } from './process.ts'
import { startUnsealed } from './secrets.ts'

const skip = absent('go') || tooOldGo(1, 24)

t.test('github.com/openbao/openbao/sdk/v2/helper/keysutil', { skip }, async t => {
  const script = await buildGo(t, 'go-transit')
  const { address, token } = await startUnsealed(t)
  const server = serverAt(address, token)
  await server.post('sys/mounts/transit', { type: 'transit' })
  const given: KeyVector[] = []
  for (const kind of kinds) given.push(await makeKey(server, kind))
  const folder = tempFolder(t)
  const [ours, theirs] = ['given.json', 'made.json'].map(name => path.join(folder, name)) as [
    string,
    string,
  ]
  writeFileSync(ours, JSON.stringify(given))
  await assertScript(t, launch(t, script, [ours, theirs]))
  const made: KeyVector[] = JSON.parse(readFileSync(theirs, 'utf8'))
  t.equal(made.length, given.length)
  for (const vector of made) await checkRestored(t, server, vector, `${vector.name}-again`)
})
