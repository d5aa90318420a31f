/**
 * Sinks of a cluster: a stored one goes on in another server when the one that ran it is killed,
 * and one of an agent that is no server follows whichever server is left.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import type { Daemon } from '../clients/daemon.ts'
import { freePort, launch, tempFolder, until } from '../clients/process.ts'
import { clientToken, foundCluster } from '../clients/target.ts'
import { absent, clientFile } from '../run/clients.ts'

t.setTimeout(170_000)

interface Stored {
  readonly Server: string
  readonly Status: { readonly Phase: string; readonly Summary: string }
}

/** A HAProxy whose servers are changed over TCP; gives where, and what it says of them. */
async function startHaproxy(t: Test) {
  const folder = tempFolder(t)
  const port = await freePort()
  const file = path.join(folder, 'haproxy.cfg')
  writeFileSync(
    file,
    `global
  stats socket ipv4@127.0.0.1:${port} level admin
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
backend web
  balance roundrobin
`,
  )
  launch(t, clientFile('haproxy'), ['-db', '-f', file])
  return { address: `127.0.0.1:${port}` }
}

t.test('sinks of a cluster', { skip: absent('etcd', 'haproxy') }, async t => {
  const { servers, join } = await foundCluster(t, {
    wordsOf: at => [`-node=server-${at}`, '-hcl=check_targets { allow = ["127.0.0.0/8"] }'],
  })
  const { address } = await startHaproxy(t)
  const file = path.join(tempFolder(t), 'edge.txt')
  const template = '{{#Services[web].Instances}}\\n{{Port}}\\n{{/Services[web].Instances}}\\n'
  const sink = `sink "edge" { kind = "file" services = ["web"]
    settings { path = "${file}" template = "${template}" on_empty = "apply" } }`
  const edge = await join(await clientToken(servers[0]!), {
    words: ['-node=edge', `-hcl=${sink.replaceAll('\n', ' ')}`],
  })
  const live = [...servers]
  const put = async (agent: Daemon, url: string, body: object): Promise<void> => {
    const { status, text } = await agent.ask('PUT', url, body)
    t.equal(status, 200, text)
  }
  const stored = (): Promise<Stored> => live[0]!.read<Stored>('/v1/sinks/lb')
  const has = (count: number) =>
    until(`both have ${count}`, async () => {
      const { Status } = await stored()
      const isThere = Status.Phase === 'current' && Status.Summary.includes(`"web" ${count}`)
      const ports = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
      return isThere && ports.length === count
    })
  const register = (at: number) =>
    put(edge, '/v1/agent/service/register', { ID: `w${at}`, Name: 'web', Port: 8_000 + at })

  await put(servers[1]!, '/v1/sinks/lb', {
    kind: 'haproxy-runtime',
    services: ['web'],
    settings: { address, on_empty: 'apply' },
  })
  await register(1)
  await has(1)
  t.match(await edge.read('/v1/agent/sinks/edge'), { Status: { Phase: 'current' } })

  const { Server } = await stored()
  t.match(Server, /^server-[012]$/)
  const at = Number(Server.slice(-1))
  const [runner] = live.splice(at, 1)
  await runner!.kill()
  await until('another server runs it', async () => (await stored()).Server !== Server)
  await register(2)
  await has(2)
  t.match(await edge.read('/v1/agent/sinks/edge?plan'), { Outcome: 'plan', Changes: [] })
})
