/**
 * Resident memory after a settled minute: idle, after 100,000 instances were registered, and with
 * them loaded from disk by a new start.
 *
 * Nothing is loaded beside the program. All processes settle at the same time.
 */
import { fillCatalog, largeCatalog } from './support/catalog.ts'
import type { Child } from './support/child.ts'
import { bothSettings } from './support/cores.ts'
import { isQuick, sleep } from './support/rounds.ts'
import { megabytes, printRow, say } from './support/row.ts'
import { makeFolder, type Server, startAgent, startBare } from './support/servers.ts'

const INSTANCES = isQuick ? 10_000 : 100_000
const SETTLE_MS = isQuick ? 5_000 : 60_000
const IDLE_GOAL_BYTES = 130e6
const FULL_GOAL_BYTES = 500e6
const RECORDED_IDLE = '102 MB (recorded, Consul 1.19.2)'
const RECORDED_FULL = '549 MB with 20000 instances (recorded, Consul 1.19.2)'

const plain = { isProbed: false }
const bare = await startBare('0', 'idle')
const idle: Server[] = []
const full: Server[] = []
const folders: string[] = []
for (const { server } of bothSettings) {
  idle.push(await startAgent(server, plain))
  const folder = makeFolder()
  const agent = await startAgent(server, { ...plain, folder })
  await fillCatalog(agent.port, largeCatalog(INSTANCES))
  full.push(agent)
  folders.push(folder)
}
await sleep(SETTLE_MS)
const what = `${INSTANCES} instances, ${largeCatalog(INSTANCES).nodes} nodes`
report('memory idle', idle, IDLE_GOAL_BYTES, RECORDED_IDLE)
report(`memory, ${what} just registered`, full, FULL_GOAL_BYTES, RECORDED_FULL)

await Promise.all([...full, ...idle].map(agent => agent.stop()))
const again: Server[] = []
for (const [at, { server }] of bothSettings.entries()) {
  const agent = await startAgent(server, { ...plain, folder: folders[at] ?? '' })
  again.push(agent)
}
await sleep(SETTLE_MS)
report(`memory, ${what} loaded from disk`, again, FULL_GOAL_BYTES, RECORDED_FULL)
await Promise.all([...again, bare].map(agent => agent.stop()))

function report(figure: string, agents: readonly Child[], goalBytes: number, peer: string): void {
  for (const [at, agent] of agents.entries()) {
    const sizeBytes = agent.rssSizeBytes() ?? Number.POSITIVE_INFINITY
    const name = `${figure} (${bothSettings[at]?.name})`
    printRow({
      figure: name,
      ours: megabytes(sizeBytes),
      limit: 'absolute',
      goal: `under ${megabytes(goalBytes)}`,
      met: sizeBytes < goalBytes,
      peer,
      note: `settled ${SETTLE_MS / 1_000} s; bare node ${megabytes(bare.rssSizeBytes() ?? 0)}`,
    })
    say(`${name}: ${megabytes(sizeBytes)}`)
  }
}
