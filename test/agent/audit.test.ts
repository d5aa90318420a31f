/** The audit room of an agent: its devices write where the configuration says, and nowhere else. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openAudit } from '../../src/agent/audit.ts'
import { openStore } from '../../src/agent/compose.ts'
import { resolveConfig } from '../../src/agent/config.ts'
import { realWorld } from '../../src/agent/parts.ts'
import { silentLog } from '../../src/base/log.ts'
import { caller } from '../audit/support.ts'
import { until } from '../clients/process.ts'
import { freshFolder } from '../fake/folder.ts'

const nodeId = '0f3c7a52-1111-4222-8333-444455556666'

function configOf(folder: string, stanza: string) {
  const text = `data_dir = ${JSON.stringify(folder)}\naudit {\n enabled = true\n${stanza}\n}`
  const surroundings = { hostName: 'host', interfaces: [], workingDir: '/' }
  const texts = [{ name: 'a.hcl', text, format: 'hcl' as const }]
  const result = resolveConfig({ texts, flags: [], isDev: false }, surroundings)
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return { ...result.config, nodeId }
}

t.test('a file in the data folder; no folder of others, no guarded address', async t => {
  const folder = freshFolder(t)
  const sinks = `
    sink "file" { type = "file" path = ${JSON.stringify(join(folder, 'audit.log'))} }
    sink "elsewhere" { type = "file" path = ${JSON.stringify(join(freshFolder(t), 'audit.log'))} }
    sink "cloud" { type = "http" uri = "http://169.254.169.254/latest" }
  `
  const config = configOf(folder, sinks)
  const world = realWorld(silentLog)
  const store = await openStore(config, world)
  const audit = openAudit(config, store, world)
  await audit.start()
  await audit.answered(caller(), { status: 200 })
  await until('each has tried', () =>
    audit.sinks.every(({ lag, fault }) => lag === 0 || fault !== ''),
  )
  t.match(audit.sinks, [
    { name: 'file', sequence: 1, lag: 0, fault: '' },
    { name: 'elsewhere', lag: 1, fault: /is none of the folders that audit.allowed_folders names/ },
    { name: 'cloud', lag: 1, fault: /169\.254\.169\.254 may not be connected to/ },
  ])
  t.match(readFileSync(join(folder, 'audit.log'), 'utf8'), `"server":"${nodeId}"`)
  await audit.stop()
  await store.close()
})
