/**
 * Checks of the program as it is started: of files and of the API, over restarts, and what is left
 * of them when it stops.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { closedPort, httpTarget, tcpTarget } from '../checks/support.ts'
import { grpcTarget, h2Target, udpTarget } from '../checks/targets.ts'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { tempFolder, until } from '../clients/process.ts'

type Shown = Readonly<Record<string, { Status: string; Output: string; Type: string }>>

const shown = (daemon: Daemon): Promise<Shown> => daemon.read<Shown>('/v1/agent/checks')

async function untilStatuses(daemon: Daemon, wanted: Readonly<Record<string, string>>) {
  await until(`${JSON.stringify(wanted)}`, async () => {
    const now = await shown(daemon)
    return Object.entries(wanted).every(([id, status]) => now[id]?.Status === status)
  })
}

async function file(t: Test, body: object): Promise<string> {
  const path = join(tempFolder(t), 'checks.json')
  writeFileSync(path, JSON.stringify(body))
  return path
}

t.test('every kind, from a file and through the API, over a kill and a restart', async t => {
  const dataDir = tempFolder(t)
  const http = await httpTarget(t, (_request, response) => response.end('well'))
  const { port: tcp } = await tcpTarget(t)
  const interval = '1s'
  const path = await file(t, {
    services: [
      { name: 'web', port: http, check: { http: `http://127.0.0.1:${http}/`, interval } },
      { name: 'side', check: { alias_service: 'web' } },
      { name: 'script', check: { args: ['sh', '-c', 'echo careful; exit 1'], interval } },
      { name: 'gone', check: { tcp: `127.0.0.1:${await closedPort()}`, interval } },
    ],
    checks: [
      { name: 'tcp', tcp: `127.0.0.1:${tcp}`, interval },
      { name: 'udp', udp: `127.0.0.1:${await udpTarget(t, true)}`, interval },
      { name: 'grpc', grpc: `127.0.0.1:${await grpcTarget(t, { '': 'SERVING' })}`, interval },
      {
        name: 'h2',
        h2ping: `127.0.0.1:${await h2Target(t, false)}`,
        h2ping_use_tls: false,
        interval,
      },
    ],
  })
  const words = [`-config-file=${path}`, '-enable-local-script-checks']
  const daemon = await startDaemon(t, { dataDir, words })
  const wanted = {
    'service:web': 'passing',
    'service:side': 'passing',
    tcp: 'passing',
    udp: 'passing',
    grpc: 'passing',
    h2: 'passing',
    'service:script': 'warning',
    'service:gone': 'critical',
  }
  await untilStatuses(daemon, wanted)
  t.equal((await shown(daemon))['service:side']?.Output, 'All checks passing.')
  const script = { name: 'remote', args: ['true'], interval }
  const refused = await daemon.ask('PUT', '/v1/agent/check/register', script)
  t.match(refused, { status: 400, text: /^Scripts are disabled on this agent from remote calls/ })
  const ttl = { name: 'ttl', ttl: '1h', status: 'passing' }
  t.equal((await daemon.ask('PUT', '/v1/agent/check/register', ttl)).status, 200)
  await daemon.ask('PUT', '/v1/agent/check/warn/ttl?note=so%20so')
  // A check of the node counts for what mirrors a service on it.
  const last = { ...wanted, ttl: 'warning', 'service:side': 'warning' }
  await untilStatuses(daemon, last)
  await daemon.kill()

  const again = await startDaemon(t, { dataDir, words })
  const kept = await shown(again)
  for (const [id, status] of Object.entries(last)) {
    t.equal(kept[id]?.Status, status, `${id} at the first moment after the restart`)
  }
  t.equal(await again.stop(), 0)
  const off = await startDaemon(t, { dataDir })
  t.same(Object.keys(await shown(off)), ['ttl'], 'what no file holds any more is gone')
  t.equal(await off.stop(), 0)
})

for (const isKilled of [false, true]) {
  const how = isKilled ? 'is killed' : 'stops'
  t.test(`a script that runs when the agent ${how} is ended with all it started`, async t => {
    const folder = tempFolder(t)
    const args = ['sh', '-c', `sleep 600 & echo $! $$ > ${folder}/pids; wait`]
    const path = await file(t, { checks: [{ name: 'long', args, interval: '1s', timeout: '10m' }] })
    const daemon = await startDaemon(t, {
      words: [`-config-file=${path}`, '-enable-local-script-checks'],
    })
    const pids = await until('the script runs', () => {
      const text = existsSync(`${folder}/pids`) ? readFileSync(`${folder}/pids`, 'utf8') : ''
      return text.endsWith('\n') ? text.trim().split(' ') : false
    })
    if (isKilled) await daemon.kill()
    else t.equal(await daemon.stop(), 0)
    await until('it is gone', () => pids.every(pid => !existsSync(`/proc/${pid}`)))
  })
}
