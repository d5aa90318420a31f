/**
 * Three servers by one command each, with members of their own: founded, one killed, wiped and
 * replaced, and rebuilt when two of three disks are gone.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { processesOn } from '../../src/store/etcd/member/process.ts'
import { type Daemon, program, startDaemon } from '../clients/daemon.ts'
import { launch, tempFolder, until } from '../clients/process.ts'
import { absent } from '../run/clients.ts'
import { portsInRow } from '../store/etcd/member/ports.ts'

t.setTimeout(170_000)

t.test(
  'three servers: founded, one wiped, then two of three',
  { skip: absent('etcd') },
  async t => {
    const cluster = await prepare(t)
    let [a, b, c] = (await Promise.all([0, 1, 2].map(at => cluster.start(at)))) as Three
    await put(a, 'one', 'founded')
    t.equal(await value(c, 'one'), 'founded')
    await until('all vote', async () => (await voters(a)) === 3)
    await c.kill()
    cluster.wipe(2)
    await put(b, 'two', 'without the third')
    c = await again(() => cluster.start(2))
    await until('it has a vote', async () => (await voters(a)) === 3, 90_000)
    t.equal(await value(c, 'two'), 'without the third')
    await put(c, 'three', 'replaced')
    // A disk alone keeps what it knows to be agreed on, which the next entry tells it.
    await put(a, 'four', 'after it')
    await until('the first has both', async () => (await value(a, 'four')) === 'after it')
    for (const one of [a, b, c]) await one.kill()
    for (const at of [1, 2]) cluster.wipe(at)
    const words = ['operator', 'recover', `-data-dir=${cluster.folder(0)}`, '-yes']
    await until('its member has ended', async () => (await cluster.running(0)) === 0)
    const recovered = launch(t, program, words)
    t.equal(await recovered.ended, 0, recovered.stderr())
    t.match(recovered.stdout(), /The newest revision is \d+/)
    a = await cluster.start(0)
    for (const key of ['one', 'two', 'three']) t.not(await value(a, key), '', key)
    b = await again(() => cluster.start(1))
    t.equal(await value(b, 'three'), 'replaced')
  },
)

type Three = [Daemon, Daemon, Daemon]

async function prepare(t: Test) {
  const token = join(tempFolder(t), 'token')
  writeFileSync(token, `${randomUUID()}.${randomBytes(24).toString('hex')}`, { mode: 0o600 })
  const servers: { dataDir: string; ports: readonly number[] }[] = []
  for (let at = 0; at < 3; at++) {
    servers.push({ dataDir: join(tempFolder(t), 'data'), ports: await portsInRow() })
  }
  const places = servers.map(({ ports }) => `-retry-join=127.0.0.1:${ports[2]}`)
  t.teardown(async () => {
    for (const { dataDir } of servers) {
      for (const pid of await processesOn(join(dataDir, 'etcd'))) process.kill(pid, 'SIGKILL')
    }
  })
  const start = (at: number): Promise<Daemon> => {
    const { dataDir, ports } = servers[at]!
    const member = `member { peer_port = ${ports[1]} client_port = ${ports[0]} }`
    const words = [
      ...[`-node=n${at + 1}`, `-server-port=${ports[2]}`, '-bootstrap-expect=3', ...places],
      ...[`-join-token-file=${token}`, `-hcl=store { managed = true ${member} }`],
    ]
    return startDaemon(t, { engine: 'etcd', dataDir, words })
  }
  return {
    start,
    folder: (at: number) => servers[at]!.dataDir,
    wipe: (at: number) => rmSync(servers[at]!.dataDir, { recursive: true }),
    running: async (at: number) => (await processesOn(join(servers[at]!.dataDir, 'etcd'))).length,
  }
}

/** A server that was killed counts as alive for a while, and its name is taken until then. */
const again = (start: () => Promise<Daemon>): Promise<Daemon> =>
  until('the name is free', start, 60_000)

async function voters(daemon: Daemon): Promise<number> {
  const { Servers } = await daemon.read<{ Servers: { Voter: boolean; ID: string }[] }>(
    '/v1/operator/raft/configuration',
  )
  return Servers.filter(({ Voter }) => Voter).length
}

async function put(daemon: Daemon, key: string, text: string): Promise<void> {
  await until(`PUT ${key}`, async () => {
    const { status } = await daemon.ask('PUT', `/v1/kv/${key}`, text)
    return status === 200
  })
}

async function value(daemon: Daemon, key: string): Promise<string> {
  return (await daemon.ask('GET', `/v1/kv/${key}?raw&consistent`)).text
}
