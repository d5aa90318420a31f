/**
 * A server that runs its own member of etcd, as one process tree: whatever of it is killed, nothing
 * that was acknowledged is lost, and nothing is left behind.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { processesOn } from '../../src/store/etcd/member/process.ts'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { tempFolder, until } from '../clients/process.ts'
import { untilBudget } from '../run/budget.ts'
import { absent } from '../run/clients.ts'
import { memberPort } from '../store/etcd/member/ports.ts'

const real = { skip: absent('etcd') }
t.setTimeout(170_000)

t.test('one command: a member with certificates, archives, and an end in order', real, async t => {
  const { start, dataDir } = await prepare(t)
  const daemon = await start()
  t.match(daemon.stdout(), /in a member of etcd \(survives a restart\)/)
  await put(daemon, 'a', '1')
  await until('it is healthy', async () => {
    const { status, text } = await daemon.ask('GET', '/v1/operator/autopilot/health')
    if (status !== 200) throw new Error(text)
    return true
  })
  t.equal((await processesOn(join(dataDir, 'etcd'))).length, 1)
  t.equal(await daemon.stop(), 0)
  t.same(await processesOn(join(dataDir, 'etcd')), [])
  const again = await start()
  t.equal(await value(again, 'a'), '1')
  t.equal(await again.stop(), 0)
})

t.test('kills of gatehouse, of etcd, of both', real, async t => {
  const { start, dataDir } = await prepare(t)
  const folder = join(dataDir, 'etcd')
  let daemon = await start()
  let written = 0
  const KINDS = ['gatehouse', 'etcd', 'both'] as const
  await untilBudget(
    'kills of a server with its member',
    30,
    async index => {
      const kind = KINDS[index % KINDS.length]!
      for (let n = 0; n < 5; n++) {
        await put(daemon, `key-${written + 1}`, String(written + 1))
        written++
      }
      // One more is under way, and may be lost or not.
      const cut = daemon.ask('PUT', '/v1/kv/under-way', String(index)).catch(() => undefined)
      const [etcd] = await processesOn(folder)
      if (kind !== 'gatehouse') process.kill(etcd!, 'SIGKILL')
      if (kind !== 'etcd') {
        await daemon.kill()
        daemon = await start()
      }
      await cut
      await until('it writes again', async () => {
        const { status } = await daemon.ask('PUT', '/v1/kv/again', String(index))
        return status === 200
      })
      t.equal((await processesOn(folder)).length, 1, `${kind}: one member`)
      const keys = await daemon.read<string[]>('/v1/kv/key-?keys')
      t.equal(keys.length, written, `${kind}: all that was acknowledged`)
    },
    KINDS.length,
  )
  t.equal(await daemon.stop(), 0)
  t.same(await processesOn(folder), [])
})

t.test('what is wrong is said at the start, and nothing is left running', real, async t => {
  const { start, dataDir } = await prepare(t)
  await t.rejects(start('-hcl=store { member { program = "/no/etcd" } }'), {
    message: /is no program that can be run.*apt-get install etcd-server/,
  })
  const daemon = await start()
  await daemon.stop()
  t.match(readFileSync(join(dataDir, 'member', 'state.json'), 'utf8'), '"phase":"member"')
})

async function prepare(t: Test) {
  const dataDir = tempFolder(t)
  const [peer, client, server] = [await memberPort(), await memberPort(), await memberPort()]
  t.teardown(async () => {
    for (const pid of await processesOn(join(dataDir, 'etcd'))) process.kill(pid, 'SIGKILL')
  })
  const member = `member { peer_port = ${peer} client_port = ${client} }`
  const words = [`-server-port=${server}`, `-hcl=store { managed = true ${member} }`]
  const start = (...more: string[]): Promise<Daemon> =>
    startDaemon(t, { engine: 'etcd', dataDir, words: [...words, ...more] })
  return { dataDir, start }
}

async function put(daemon: Daemon, key: string, text: string): Promise<void> {
  const { status, text: answer } = await daemon.ask('PUT', `/v1/kv/${key}`, text)
  if (status !== 200) throw new Error(`PUT ${key}: ${status} ${answer}`)
}

async function value(daemon: Daemon, key: string): Promise<string> {
  return (await daemon.ask('GET', `/v1/kv/${key}?raw`)).text
}
