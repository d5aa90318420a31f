/**
 * The verb `debug`: what an agent knows of itself over a while, in one archive to hand on.
 *
 * Owns the files and their names, which are those of Consul's archives. What an agent does not
 * serve is left out and named. Nothing is captured that an agent would not show: it masks tokens.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { pack } from 'tar-stream'
import { formatDuration } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import { pause } from '../base/pause.ts'
import { endSignals } from './child.ts'
import { asking, type Client, ClientError, clientFlags, type Query, unexpected } from './client.ts'
import { type Call, fail } from './command.ts'
import { collect } from './exchange.ts'
import { exactJson, parseExact } from './json.ts'

const targets = ['metrics', 'logs', 'pprof', 'host', 'agent', 'members'] as const
type Target = (typeof targets)[number]

const INTERVAL_MS = 30_000
const DURATION_MS = 300_000
const INTERVAL_MIN_MS = 5_000
const DURATION_MIN_MS = 10_000
/** The version of what lies in an archive. */
const LAYOUT = 1

export const debug = asking('Capture validation failed', {
  usage: '[options]',
  flags: [
    {
      name: 'capture',
      kind: 'list',
      values: targets,
      doc: `one of ${targets.join(', ')}; may be repeated; all unless given`,
    },
    { name: 'duration', kind: 'duration', doc: 'how long to capture (5m)' },
    { name: 'interval', kind: 'duration', doc: 'how often to take profiles (30s)' },
    { name: 'output', kind: 'text', doc: 'folder and name of the archive' },
    { name: 'archive', kind: 'switch', doc: 'make one file of it (on unless -archive=false)' },
    ...clientFlags,
  ],
  examples: ['', '-duration=1m -capture=logs -capture=metrics', '-archive=false -output=report'],
  async run(call, client) {
    const { args, io } = call
    if (args.length > 0) return fail(io, 'debug: Too many arguments provided, expected 0')
    const capture = await Capture.prepare(call, client)
    io.print('==> Starting debugger and capturing static information...')
    io.print(capture.describe())
    await capture.run()
    io.print(`    Saved debug archive: ${await capture.save()}`)
    return 0
  },
})

interface Self {
  readonly Config: { readonly Version: string }
  readonly DebugConfig: { readonly EnableDebug?: boolean; readonly ACLsEnabled?: boolean }
}

class Capture {
  readonly #call: Call
  readonly #client: Client
  readonly #version: string
  readonly #targets: readonly Target[]
  readonly #folder: string
  readonly #intervalMs: number
  readonly #durationMs: number
  /** Ends every stream: the time is over, or we are told to stop. */
  readonly #stop = new AbortController()

  /** Checks what is asked for, and makes the folder. */
  static async prepare(call: Call, client: Client): Promise<Capture> {
    const { flags } = call
    const intervalMs = flags.durationMs('interval') ?? INTERVAL_MS
    const durationMs = flags.durationMs('duration') ?? DURATION_MS
    const fault = timingFault(intervalMs, durationMs)
    if (fault !== undefined) throw new ClientError(fault)
    const self = await client.read<Self>('/v1/agent/self').catch(error => {
      throw new ClientError(
        `error querying target agent: ${messageOf(error)}. verify connectivity and agent address`,
      )
    })
    const capture = new Capture(call, client, self, { intervalMs, durationMs })
    await capture.#makeFolder()
    return capture
  }

  private constructor(
    call: Call,
    client: Client,
    { Config, DebugConfig }: Self,
    { intervalMs, durationMs }: { intervalMs: number; durationMs: number },
  ) {
    this.#call = call
    this.#client = client
    this.#version = Config.Version
    this.#intervalMs = intervalMs
    this.#durationMs = durationMs
    const asked = call.flags.list('capture')
    const wanted = targets.filter(name => asked.length === 0 || asked.includes(name))
    const hasProfiles = DebugConfig.EnableDebug === true || DebugConfig.ACLsEnabled === true
    if (wanted.includes('pprof') && !hasProfiles) {
      call.io.printError('[WARN] Unable to capture pprof: the agent does not serve it')
    }
    this.#targets = wanted.filter(name => name !== 'pprof' || hasProfiles)
    const name = `${call.program}-debug-${stampOf(call.io.clock.wall())}`
    this.#folder = call.flags.text('output') || name
  }

  async #makeFolder(): Promise<void> {
    const folder = this.#folder
    const isThere = await stat(folder).then(
      () => true,
      () => false,
    )
    if (isThere) throw new ClientError(`output directory already exists: ${folder}`)
    await mkdir(folder, { recursive: true, mode: 0o700 }).catch(error => {
      throw new ClientError(`could not create output directory: ${messageOf(error)}`)
    })
  }

  get #isArchived(): boolean {
    return this.#call.flags.isOn('archive', true)
  }

  get #output(): string {
    return this.#isArchived ? `${this.#folder}.tar.gz` : this.#folder
  }

  describe(): string {
    const rows = [
      [' Agent Version', this.#version],
      ['      Interval', formatDuration(this.#intervalMs)],
      ['      Duration', formatDuration(this.#durationMs)],
      ['        Output', this.#output],
      ['       Capture', this.#targets.join(', ')],
    ]
    return rows.map(([name, value]) => `    ${name}: '${value}'`).join('\n')
  }

  /** Everything that is captured, for as long as it is asked for. */
  async run(): Promise<void> {
    const { io } = this.#call
    for (const name of endSignals) io.onSignal(name, () => this.#stop.abort())
    await this.#oneShots()
    const has = (name: Target): boolean => this.#targets.includes(name)
    if (!has('metrics') && !has('logs') && !has('pprof')) return
    const timer = io.clock.after(this.#durationMs, () => this.#stop.abort())
    const seconds = (durationMs: number): Query => ({
      seconds: String(Math.round(durationMs / 1_000)),
    })
    const level = { loglevel: 'TRACE' }
    await Promise.all([
      this.#intervals(),
      ...(has('logs') ? [this.#stream('/v1/agent/monitor', level, 'consul.log')] : []),
      ...(has('metrics') ? [this.#stream('/v1/agent/metrics/stream', {}, 'metrics.json')] : []),
      ...(has('pprof')
        ? [
            this.#stream('/debug/pprof/profile', seconds(this.#durationMs), 'profile.prof'),
            this.#stream('/debug/pprof/trace', seconds(this.#intervalMs), 'trace.out'),
          ]
        : []),
    ])
    timer.clear()
  }

  async #oneShots(): Promise<void> {
    const has = (name: Target): boolean => this.#targets.includes(name)
    if (has('host')) await this.#json('host.json', '/v1/agent/host')
    if (has('agent')) await this.#json('agent.json', '/v1/agent/self')
    if (has('members')) await this.#json('members.json', '/v1/agent/members', { wan: '1' })
    await this.#json('cluster.json', '/v1/operator/raft/configuration')
  }

  async #json(file: string, path: string, query: Query = {}): Promise<void> {
    await this.#attempt(file, async () => {
      const text = await this.#client.send('GET', path, query)
      await this.#write(file, exactJson(parseExact(text), '\t'))
    })
  }

  /** Profiles of the moment, once at the begin and at every interval. */
  async #intervals(): Promise<void> {
    const { clock } = this.#call.io
    for (let count = 0; !this.#stop.signal.aborted; count++) {
      const now = stampOf(clock.wall())
      if (count === 0) this.#call.io.print(`==> Beginning capture interval ${now} (0)`)
      if (this.#targets.includes('pprof')) await this.#profiles(now)
      this.#call.io.print(`==> Capture successful ${now} (${count})`)
      await pause(clock, this.#intervalMs, this.#stop.signal)
    }
  }

  async #profiles(now: string): Promise<void> {
    await mkdir(join(this.#folder, now), { recursive: true, mode: 0o700 })
    for (const name of ['heap', 'goroutine']) {
      await this.#stream(`/debug/pprof/${name}`, {}, join(now, `${name}.prof`))
    }
  }

  async #stream(path: string, query: Query, file: string): Promise<void> {
    await this.#attempt(file, async () => {
      const { signal } = this.#stop
      const { status, body } = await this.#client.open('GET', path, query, { signal })
      if (status !== 200) throw unexpected({ status, body: await collect(body) })
      const out = createWriteStream(join(this.#folder, file), { mode: 0o600 })
      await pipeline(untilStopped(body, signal), out)
    })
  }

  /** A part that is missing is named; the others are captured all the same. */
  async #attempt(file: string, take: () => Promise<void>): Promise<void> {
    try {
      await take()
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#call.io.printError(`[WARN] no ${file}: ${messageOf(error)}`)
    }
  }

  #write(file: string, text: string): Promise<void> {
    return writeFile(join(this.#folder, file), text, { mode: 0o600 })
  }

  /** The index, then the archive; gives its name. */
  async save(): Promise<string> {
    const index = {
      Version: LAYOUT,
      AgentVersion: this.#version,
      Interval: formatDuration(this.#intervalMs),
      Duration: formatDuration(this.#durationMs),
      Targets: this.#targets,
    }
    await this.#write('index.json', exactJson(index, '\t'))
    if (!this.#isArchived) return this.#output
    await archiveFolder(this.#folder, this.#output)
    await rm(this.#folder, { recursive: true })
    return this.#output
  }
}

function timingFault(intervalMs: number, durationMs: number): string | undefined {
  const text = formatDuration
  if (durationMs < DURATION_MIN_MS) return `duration must be longer than ${text(DURATION_MIN_MS)}`
  if (intervalMs < INTERVAL_MIN_MS) return `interval must be longer than ${text(INTERVAL_MIN_MS)}`
  if (durationMs >= intervalMs) return undefined
  return `duration (${text(durationMs)}) must be longer than interval (${text(intervalMs)})`
}

/** `2026-11-23T10-11-12Z`: colons would mean a host to tar. */
export function stampOf(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+/, '').replaceAll(':', '-')
}

/** A stream that ends when we stop, instead of failing. */
export async function* untilStopped(
  body: AsyncIterable<Buffer>,
  stop: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* body
  } catch (error) {
    if (!stop.aborted) throw error
  }
}

/** One gzipped tar of a folder, with its name before every path in it. */
export async function archiveFolder(folder: string, file: string): Promise<void> {
  const tar = pack()
  const out = createWriteStream(file, { mode: 0o600, flags: 'wx' })
  const written = pipeline(tar, createGzip(), out)
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter(each => each.isFile())) {
    const path = join(entry.parentPath, entry.name)
    const name = join(basename(folder), path.slice(folder.length))
    const { size, mtime } = await stat(path)
    const target = tar.entry({ name, size, mtime, mode: 0o600 })
    await pipeline(createReadStream(path), target as unknown as NodeJS.WritableStream)
  }
  tar.finalize()
  await written
}
