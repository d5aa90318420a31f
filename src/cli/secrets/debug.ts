/**
 * The verb `debug` of secrets: what a server knows of itself over a while, in one archive.
 *
 * Owns the files and their names, which are those of Vault's archives. What a server does not
 * serve is left out and named. Nothing is captured that the server would not show.
 */
import { createWriteStream } from 'node:fs'
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '../../base/errors.ts'
import { pause } from '../../base/pause.ts'
import { endSignals } from '../child.ts'
import type { Call } from '../command.ts'
import { archiveFolder, stampOf, untilStopped } from '../debug.ts'
import { exactJson } from '../json.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure } from './failure.ts'
import { httpFlags, parseSeconds } from './flags.ts'

/** What is asked once, and what again and again, by target. */
const onceFiles = new Map([
  ['config', 'sys/config/state/sanitized'],
  ['replication-status', 'sys/replication/status'],
])
const repeatedFiles = new Map([
  ['host', ['sys/host-info']],
  ['metrics', ['sys/metrics']],
  ['requests', ['sys/in-flight-req']],
  ['server-status', ['sys/health', 'sys/seal-status']],
])
const targets = [...onceFiles.keys(), ...repeatedFiles.keys(), 'log']

export const debug = secretsVerb({
  usage: '[options]',
  flags: [
    {
      name: 'target',
      kind: 'list',
      values: targets,
      doc: `one of ${targets.join(', ')}; may be repeated; all unless given`,
    },
    { name: 'duration', kind: 'text', doc: 'how long to capture (2m)' },
    { name: 'interval', kind: 'text', doc: 'how often (30s)' },
    { name: 'metrics-interval', kind: 'text', doc: 'how often to ask for metrics (10s)' },
    { name: 'output', kind: 'text', doc: 'folder and name of the archive' },
    { name: 'compress', kind: 'switch', doc: 'make one file of it (on unless -compress=false)' },
    ...httpFlags,
  ],
  examples: ['', '-duration=1m -target=metrics -target=log', '-compress=false -output=report'],
  args: [0, 0],
  async run(call, client) {
    const capture = new Capture(call, client)
    call.io.print(`==> Starting debug capture...\n${capture.describe()}`)
    await capture.run()
    call.io.print(`Success! Bundle written to: ${await capture.save()}`)
    return 0
  },
})

class Capture {
  readonly #call: Call
  readonly #client: SecretsClient
  readonly #targets: readonly string[]
  readonly #folder: string
  readonly #durationMs: number
  readonly #intervalMs: number
  readonly #metricsIntervalMs: number
  /** Ends every stream: the time is over, or we are told to stop. */
  readonly #stop = new AbortController()
  /** What could not be captured, for the index. */
  readonly #missing: string[] = []

  constructor(call: Call, client: SecretsClient) {
    const { flags, io, program } = call
    const spanMs = (name: string, byDefault: string): number =>
      parseSeconds(flags.text(name) ?? byDefault, `flag -${name}`) * 1_000
    const asked = flags.list('target')
    const name = `${program.split(' ').at(-1)}-debug-${stampOf(io.clock.wall())}`
    this.#call = call
    this.#client = client
    this.#targets = targets.filter(each => asked.length === 0 || asked.includes(each))
    this.#durationMs = spanMs('duration', '2m')
    this.#intervalMs = spanMs('interval', '30s')
    this.#metricsIntervalMs = spanMs('metrics-interval', '10s')
    this.#folder = (flags.text('output') || name).replace(/\.tar\.gz$/, '')
    const MIN_MS = 1_000
    const shortest = Math.min(this.#durationMs, this.#intervalMs, this.#metricsIntervalMs)
    if (shortest < MIN_MS) throw new Failure('durations and intervals are at least a second', 1)
  }

  get #isArchived(): boolean {
    return this.#call.flags.isOn('compress', true)
  }

  get #output(): string {
    return this.#isArchived ? `${this.#folder}.tar.gz` : this.#folder
  }

  describe(): string {
    return [
      ['Vault Address', this.#client.address],
      ['Duration', `${this.#durationMs / 1_000}s`],
      ['Interval', `${this.#intervalMs / 1_000}s`],
      ['Targets', this.#targets.join(', ')],
      ['Output', this.#output],
    ]
      .map(([name, value]) => `${name?.padStart(16)}: ${value}`)
      .join('\n')
  }

  async run(): Promise<void> {
    const { io } = this.#call
    const isThere = await stat(this.#folder).then(
      () => true,
      () => false,
    )
    if (isThere) throw new Failure(`output directory already exists: ${this.#folder}`, 1)
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    for (const name of endSignals) io.onSignal(name, () => this.#stop.abort())
    const timer = io.clock.after(this.#durationMs, () => this.#stop.abort())
    const kept = (name: string): boolean => this.#targets.includes(name)
    for (const [name, path] of onceFiles) {
      if (kept(name)) await this.#write(name, await this.#asked(name, path))
    }
    await Promise.all([
      ...[...repeatedFiles].filter(([name]) => kept(name)).map(each => this.#repeat(...each)),
      ...(kept('log') ? [this.#log()] : []),
    ])
    timer.clear()
  }

  /** A list of answers, each with its time. */
  async #repeat(name: string, paths: readonly string[]): Promise<void> {
    const { clock } = this.#call.io
    const everyMs = name === 'metrics' ? this.#metricsIntervalMs : this.#intervalMs
    const entries: object[] = []
    while (!this.#stop.signal.aborted) {
      for (const path of paths) {
        const answer = await this.#asked(name, path)
        if (answer === undefined) return this.#write(name, entries)
        entries.push({ timestamp: new Date(clock.wall()).toISOString(), path, answer })
      }
      await pause(clock, everyMs, this.#stop.signal)
    }
    await this.#write(name, entries)
  }

  /** An answer whatever its status says, as health tells much by it; undefined for a refusal. */
  async #asked(name: string, path: string): Promise<unknown> {
    const any = { sealedcode: '200', standbycode: '200', uninitcode: '200' }
    const query = path === 'sys/health' ? any : {}
    try {
      return await this.#client.json({ method: 'GET', path, query })
    } catch (error) {
      this.#missing.push(name)
      this.#call.io.printError(`[WARN] no ${name}: ${messageOf(error).replaceAll('\n', ' ')}`)
      return undefined
    }
  }

  async #log(): Promise<void> {
    const { signal } = this.#stop
    const query = { log_level: 'trace' }
    try {
      const ask = { method: 'GET', path: 'sys/monitor', query, isEndless: true, signal } as const
      const { body } = await this.#client.open(ask)
      const out = createWriteStream(join(this.#folder, 'vault.log'), { mode: 0o600 })
      await pipeline(untilStopped(body, signal), out)
    } catch (error) {
      if (signal.aborted) return
      this.#missing.push('log')
      this.#call.io.printError(`[WARN] no log: ${messageOf(error).replaceAll('\n', ' ')}`)
    }
  }

  async #write(name: string, data: unknown): Promise<void> {
    const isEmpty = data === undefined || (Array.isArray(data) && data.length === 0)
    if (isEmpty) return
    const file = `${name.replaceAll('-', '_')}.json`
    await writeFile(join(this.#folder, file), exactJson(data), { mode: 0o600 })
  }

  /** The index, then the archive; gives its name. */
  async save(): Promise<string> {
    const index = {
      version: 1,
      vault_address: this.#client.address,
      duration_seconds: this.#durationMs / 1_000,
      interval_seconds: this.#intervalMs / 1_000,
      metrics_interval_seconds: this.#metricsIntervalMs / 1_000,
      targets: this.#targets,
      missing: [...new Set(this.#missing)],
    }
    await this.#write('index', index)
    if (!this.#isArchived) return this.#output
    await archiveFolder(this.#folder, this.#output)
    await rm(this.#folder, { recursive: true })
    return this.#output
  }
}
