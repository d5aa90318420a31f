/**
 * HAProxy and NGINX that follow the registry while requests go through them: instances come, fail,
 * drain and go, servers are lost, a configuration is refused.
 *
 * Owns the judgement: a request may only fail where it reached an instance that said itself that it
 * fails. Each change is waited for at both load balancers, so that none is made up for by the next.
 */
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Agent, createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { seededRandom } from '../../src/base/prng.ts'
import { clientFile } from '../run/clients.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { freePort, type Launched, launch, tempFolder, until } from './process.ts'
import { program } from './running.ts'

type Balancer = 'haproxy' | 'nginx'
const balancers: readonly Balancer[] = ['haproxy', 'nginx']

/** So many requests that went elsewhere, by each load balancer, make an instance left alone. */
const ELSEWHERE = 60
const SERVICE = 'web'

/** An instance of the service, in this process. */
class Instance {
  readonly id: string
  readonly #server: Server
  #isFailing = false
  #underWay = 0
  readonly #reached = new Map<string, number>()
  /** How many requests had been sent through a load balancer when it was last reached by it. */
  readonly #sentThen = new Map<string, number>()
  readonly #sentBy: (via: string) => number

  constructor(id: string, sentBy: (via: string) => number) {
    this.id = id
    this.#sentBy = sentBy
    this.#server = createServer((incoming, answer) => {
      const via = String(incoming.headers['x-via'])
      this.#reached.set(via, (this.#reached.get(via) ?? 0) + 1)
      this.#sentThen.set(via, sentBy(via))
      this.#underWay += 1
      const end = (): void => {
        this.#underWay -= 1
        answer.writeHead(this.#isFailing ? 500 : 200, { 'x-instance': id }).end(id)
      }
      // Some requests take long: they must be finished, whatever happens meanwhile.
      if (incoming.url === '/slow') setTimeout(end, SLOW_MS)
      else end()
    })
  }

  async start(t: Test): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    t.teardown(() => {
      this.#server.close()
      this.#server.closeAllConnections()
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** From now on every answer is 500, which is this instance's own fault. */
  fail(isFailing: boolean): void {
    this.#isFailing = isFailing
  }

  /** Resolves when requests came through each load balancer from now on. */
  async reachedBy(which: readonly Balancer[] = balancers): Promise<void> {
    const before = new Map(this.#reached)
    await until(`${this.id} is reached by ${which.join(' and ')}`, () =>
      which.every(via => (this.#reached.get(via) ?? 0) > (before.get(via) ?? 0)),
    )
  }

  /** Resolves when requests have gone elsewhere for a while and nothing is under way. */
  async leftAlone(): Promise<void> {
    const now = new Map(balancers.map(via => [via, this.#sentBy(via)] as const))
    await until(`${this.id} is left alone`, () => {
      if (this.#underWay > 0) return false
      return balancers.every(via => {
        const since = Math.max(now.get(via)!, this.#sentThen.get(via) ?? 0)
        return this.#sentBy(via) - since > ELSEWHERE
      })
    })
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.#server.closeIdleConnections()
    await once(this.#server, 'close')
  }
}

const SLOW_MS = 400

/** Requests through a load balancer, a few at a time, until they are ended. */
class Load {
  readonly #port: number
  readonly #via: Balancer
  readonly #failing: ReadonlySet<string>
  readonly #agent: Agent
  #isOver = false
  #loops: Promise<void>[] = []
  sent = 0
  /** Those that reached an instance which fails. */
  tolerated = 0
  /** What went wrong with the others. */
  readonly lost: string[] = []

  constructor(port: number, via: Balancer, failing: ReadonlySet<string>) {
    this.#port = port
    this.#via = via
    this.#failing = failing
    // NGINX's old workers close idle connections at a reload, as a client must expect.
    this.#agent = new Agent({ keepAlive: via === 'haproxy' })
  }

  start(): void {
    const LOOPS = 4
    this.#loops = Array.from({ length: LOOPS }, (_, at) => this.#loop(at === 0 ? '/slow' : '/'))
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#loops)
    this.#agent.destroy()
  }

  async #loop(url: string): Promise<void> {
    const PACE_MS = 5
    while (!this.#isOver) {
      await this.#ask(url).catch((error: unknown) => this.lost.push(`${this.#via}: ${error}`))
      await pause(PACE_MS)
    }
  }

  async #ask(url: string): Promise<void> {
    const sent = request({ host: '127.0.0.1', port: this.#port, path: url, agent: this.#agent })
    sent.setTimeout(TIMEOUT_MS, () => sent.destroy(new Error('no answer')))
    sent.end()
    const [answer] = await once(sent, 'response')
    let text = ''
    for await (const piece of answer) text += piece
    this.sent += 1
    const instance = String(answer.headers['x-instance'] ?? '')
    if (answer.statusCode === 200 && text === instance) return
    if (answer.statusCode === 500 && this.#failing.has(instance)) this.tolerated += 1
    else this.lost.push(`${this.#via}: ${answer.statusCode} of ${instance || 'nobody'}: ${text}`)
  }
}

const TIMEOUT_MS = 10_000
/** What is shown of what nginx said where a request was lost. */
const TOLD_CHARS = 4_000

export const MINUTE_MS = 60_000
const CHANGES_A_MINUTE = 50

/** All of it, running. */
export class FollowedWorld {
  readonly #t: Test
  readonly #random: ReturnType<typeof seededRandom>
  readonly #folder: string
  readonly #httpPort: number
  readonly #ports: Readonly<Record<Balancer, number>>
  readonly #instances: Instance[] = []
  readonly #resting = new Set<Instance>()
  /** Ids of instances whose failures are their own. */
  readonly #failing = new Set<string>()
  readonly #loads: readonly Load[]
  #daemon!: Daemon
  #sync!: Launched
  #nginx!: Launched
  #count = 0
  readonly done: Record<string, number> = {}

  private constructor(
    t: Test,
    seed: number,
    folder: string,
    httpPort: number,
    ports: Readonly<Record<Balancer, number>>,
  ) {
    this.#t = t
    this.#random = seededRandom(Buffer.from(String(seed)))
    this.#folder = folder
    this.#httpPort = httpPort
    this.#ports = ports
    this.#loads = balancers.map(via => new Load(ports[via], via, this.#failing))
  }

  /** Starts three instances, both load balancers, what keeps them right, and the load. */
  static async start(t: Test, seed: number): Promise<FollowedWorld> {
    const folder = tempFolder(t)
    const ports = { haproxy: await freePort(), nginx: await freePort() }
    const world = new FollowedWorld(t, seed, folder, await freePort(), ports)
    world.#writeFiles()
    await world.startServer()
    world.#startBalancers()
    const FIRST = 3
    for (let i = 0; i < FIRST; i += 1) await world.#register()
    world.#sync = launch(t, program, [
      ...[
        'sync',
        'run',
        `-config=${folder}/nginx-sink.hcl`,
        `-http-addr=127.0.0.1:${world.#httpPort}`,
      ],
      `-status-file=${folder}/status.json`,
    ])
    // NGINX's first worker, which knows nobody yet, takes connections until it hears of the reload.
    const ENOUGH = 40
    await until('the load balancers answer, each time', async () => {
      if (!world.#sync.isRunning()) throw new Error(world.#sync.stderr())
      for (let inRow = 0; inRow < ENOUGH; inRow += 1) {
        const answers = await Promise.all(balancers.map(via => world.#answers(via)))
        if (!answers.every(Boolean)) return false
      }
      return (await world.#workers()) === 1
    })
    for (const load of world.#loads) load.start()
    await Promise.all(world.#instances.map(one => one.reachedBy()))
    return world
  }

  /** How many processes nginx has beside its master: more than one while an old one ends. */
  async #workers(): Promise<number> {
    const pid = this.#nginx.pid
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return children.trim().split(' ').length
  }

  /** Makes one change, and waits until both load balancers have followed. */
  async change(): Promise<void> {
    const working = this.#instances.filter(one => !this.#resting.has(one))
    const what = this.#choose(working.length)
    this.done[what] = (this.done[what] ?? 0) + 1
    const one = this.#one(working)
    switch (what) {
      case 'come':
        await (await this.#register()).reachedBy()
        break
      case 'fail':
        this.#resting.add(one)
        this.#failing.add(one.id)
        one.fail(true)
        await this.#put(`/v1/agent/check/fail/service:${one.id}`)
        await one.leftAlone()
        break
      case 'drain':
        this.#resting.add(one)
        await this.#put(`/v1/agent/service/maintenance/${one.id}?enable=true`)
        await one.leftAlone()
        break
      case 'return':
        await this.#bringBack(this.#one([...this.#resting]))
        break
      case 'go':
        await this.#put(`/v1/agent/service/deregister/${one.id}`)
        await one.leftAlone()
        this.#instances.splice(this.#instances.indexOf(one), 1)
        await one.stop()
        break
    }
  }

  /** At least two work at any time, and never more than a handful. */
  #choose(working: number): 'come' | 'fail' | 'drain' | 'return' | 'go' {
    const LEAST = 2
    const MOST = 6
    const RESTING = 2
    const may = [
      ...(this.#instances.length < MOST ? (['come'] as const) : []),
      ...(working > LEAST && this.#resting.size < RESTING ? (['fail', 'drain'] as const) : []),
      ...(working > LEAST ? (['go'] as const) : []),
      ...(this.#resting.size > 0 ? (['return', 'return'] as const) : []),
    ]
    return may[this.#below(may.length)]!
  }

  #one(list: readonly Instance[]): Instance {
    return list[this.#below(list.length)]!
  }

  #below(count: number): number {
    return Math.floor(this.#random.fraction() * count)
  }

  async #bringBack(one: Instance): Promise<void> {
    one.fail(false)
    await this.#put(`/v1/agent/service/maintenance/${one.id}?enable=false`)
    await this.#put(`/v1/agent/check/pass/service:${one.id}`)
    await one.reachedBy()
    this.#failing.delete(one.id)
    this.#resting.delete(one)
  }

  /** A minute in which so much changes. */
  async minute(): Promise<void> {
    const endMs = performance.now() + MINUTE_MS
    for (let at = 0; at < CHANGES_A_MINUTE; at += 1) await this.change()
    await until('the minute is over', () => performance.now() > endMs, 2 * MINUTE_MS)
  }

  /** What nginx would refuse stands in its folder: the last good file stays, until that is gone. */
  async refuse(): Promise<void> {
    const file = path.join(this.#folder, 'upstreams.conf')
    const good = readFileSync(file, 'utf8')
    const bad = path.join(this.#folder, 'extra-bad.conf')
    writeFileSync(bad, `upstream ${SERVICE} { server 127.0.0.1:1; }\n`)
    const one = await this.#register()
    await one.reachedBy(['haproxy'])
    await until('the refusal is told', () => {
      const { Phase, LastError } = this.#status()
      return Phase === 'rejected' && /duplicate upstream/.test(LastError.Text)
    })
    this.#t.equal(readFileSync(file, 'utf8'), good, 'the last good file stays')
    await this.#more()
    rmSync(bad)
    await one.reachedBy(['nginx'])
    await until('it is told as current', () => this.#status().Phase === 'current')
  }

  /** The server is killed and comes again: the last good state stays meanwhile. */
  async loseServer(): Promise<void> {
    const file = path.join(this.#folder, 'upstreams.conf')
    const good = readFileSync(file, 'utf8')
    await this.#daemon.kill()
    await until('the loss is told', () => this.#status().Phase === 'lost')
    await this.#more()
    this.#t.equal(readFileSync(file, 'utf8'), good, 'the last good state stays')
    await this.startServer()
    const one = await this.#register()
    await one.reachedBy()
    await until('it is told as current', () => this.#status().Phase === 'current')
  }

  /** Ends the load and what keeps the load balancers right; gives how it was. */
  async end(): Promise<{ readonly sent: number; readonly lost: readonly string[] }> {
    await Promise.all(this.#loads.map(load => load.end()))
    this.#sync.signal('SIGTERM')
    this.#t.equal(await this.#sync.ended, 0, 'sync run ends in order')
    this.#t.equal(await this.#daemon.stop(), 0, 'the server ends in order')
    const sent = this.#loads.reduce((sum, load) => sum + load.sent, 0)
    const lost = this.#loads.flatMap(load => load.lost)
    if (lost.length > 0) this.#t.comment(this.#nginx.stderr().slice(-TOLD_CHARS))
    return { sent, lost }
  }

  async startServer(): Promise<void> {
    this.#daemon = await startDaemon(this.#t, {
      dataDir: path.join(this.#folder, 'data'),
      words: [
        ...[`-http-port=${this.#httpPort}`, `-config-file=${this.#folder}/haproxy-sink.hcl`],
        '-hcl=limits { http_max_conns_per_client = -1 }',
      ],
    })
  }

  /** Requests go on, through both. */
  async #more(): Promise<void> {
    const MORE = 200
    const before = this.#loads.map(({ sent }) => sent)
    await until('requests go on', () =>
      this.#loads.every((load, at) => load.sent > before[at]! + MORE),
    )
  }

  #status(): { readonly Phase: string; readonly LastError: { readonly Text: string } } {
    const [sink] = JSON.parse(readFileSync(path.join(this.#folder, 'status.json'), 'utf8'))
    return sink.Status
  }

  async #register(): Promise<Instance> {
    this.#count += 1
    const one = new Instance(`${SERVICE}-${this.#count}`, via => {
      return this.#loads[balancers.indexOf(via as Balancer)]?.sent ?? 0
    })
    await one.start(this.#t)
    this.#instances.push(one)
    await this.#put('/v1/agent/service/register', {
      ...{ ID: one.id, Name: SERVICE, Address: '127.0.0.1', Port: one.port },
      Check: { TTL: '1h', Status: 'passing' },
    })
    return one
  }

  async #put(url: string, body?: object): Promise<void> {
    const { status, text } = await this.#daemon.ask('PUT', url, body)
    if (status !== 200) throw new Error(`${url}: ${status} ${text}`)
  }

  #answers(via: Balancer): Promise<boolean> {
    return new Promise(resolve => {
      const sent = request({ host: '127.0.0.1', port: this.#ports[via], agent: false }, answer => {
        answer.resume().on('end', () => resolve(answer.statusCode === 200))
      })
      sent.on('error', () => resolve(false)).end()
    })
  }

  #writeFiles(): void {
    const folder = this.#folder
    const write = (name: string, text: string): void => {
      writeFileSync(path.join(folder, name), text)
    }
    write('haproxy.cfg', haproxyText(folder, this.#ports.haproxy))
    write('nginx.conf', nginxText(folder, this.#ports.nginx))
    // Nobody yet: the sink writes the first one.
    write('upstreams.conf', `upstream ${SERVICE} { server 127.0.0.1:9 down; }\n`)
    const words = JSON.stringify(nginxWords(folder)).slice(1, -1)
    write(
      'nginx-sink.hcl',
      `sink "nginx" {
         kind = "nginx"
         services = ["${SERVICE}"]
         buffer_min = "100ms"
         retry_max = "2s"
         settings {
           path = "${folder}/upstreams.conf"
           check = ["${clientFile('nginx')}", "-t", "-q", ${words}]
           reload = ["${clientFile('nginx')}", "-s", "reload", ${words}]
         }
       }`,
    )
    write(
      'haproxy-sink.hcl',
      `sink "haproxy" {
         kind = "haproxy-runtime"
         services = ["${SERVICE}"]
         buffer_min = "100ms"
         settings { socket = "${folder}/haproxy.sock" }
       }`,
    )
  }

  #startBalancers(): void {
    launch(this.#t, clientFile('haproxy'), ['-db', '-f', `${this.#folder}/haproxy.cfg`])
    this.#nginx = launch(this.#t, clientFile('nginx'), nginxWords(this.#folder), { group: true })
  }
}

const nginxWords = (folder: string): string[] => {
  return ['-p', folder, '-c', `${folder}/nginx.conf`, '-e', `${folder}/error.log`]
}

const haproxyText = (folder: string, port: number): string => `
global
  stats socket ${folder}/haproxy.sock mode 600 level admin
defaults
  mode http
  option redispatch
  retries 3
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend all
  bind 127.0.0.1:${port}
  http-request set-header X-Via haproxy
  default_backend ${SERVICE}
backend ${SERVICE}
  balance roundrobin
`

const tempPaths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

const nginxText = (folder: string, port: number): string => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  ${tempPaths.map(name => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  include ${folder}/extra-*.conf;
  include ${folder}/upstreams.conf;
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://${SERVICE}; proxy_set_header X-Via nginx; }
  }
}
`
