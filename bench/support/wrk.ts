/**
 * The load generator: wrk, with fixed requests or with a list of them made before it starts.
 *
 * Owns its command line, its script and reading what it prints. One thread, on the cores that the
 * server has not.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cores, pinned } from './cores.ts'
import { roundSeconds } from './rounds.ts'

export interface Load {
  readonly port: number
  /** Over TLS; the certificate is not looked at. */
  readonly isSecure?: boolean
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>
  /** The path of a plain GET; else what to send is in `requests`. */
  readonly path?: string
  readonly requests?: Requests
}

/** Different requests, made before the first is sent. */
export interface Requests {
  readonly count: number
  /** The body of a Lua function that gives request number `i`, from 0, of `round`. */
  readonly lua: string
  /** Whether they may be sent again from the first, once all were. */
  readonly again?: boolean
}

export interface LoadResult {
  readonly perSecond: number
  readonly requests: number
  /** Processor time of the generator, without the making of its requests. */
  readonly generatorMs: number
}

export const connections = 32

export interface RunOptions {
  readonly seconds: number
  readonly round?: number
  readonly connections?: number
}

/** Runs the load; throws when an answer was not 200 or a socket failed. */
export async function runWrk(
  cores: Cores,
  { port, path = '/', requests, isSecure = false, headers = {} }: Load,
  { seconds, round = 0, connections: count = connections }: RunOptions,
): Promise<LoadResult> {
  const script = requests === undefined ? [] : ['-s', scriptOf(requests)]
  const sent = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const words = ['-t1', `-c${count}`, `-d${seconds}s`, ...sent, ...script]
  const url = `http${isSecure ? 's' : ''}://127.0.0.1:${port}${path}`
  const timed = ['-c', 'wrk "$@"; times', 'wrk', ...words, url, '--', `${round}`]
  const printed = await outputOf(pinned(cores.client, 'sh', timed))
  const failed = /Non-2xx or 3xx responses: \d+|Socket errors: .*|unable to connect.*/.exec(printed)
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(printed)?.[1] ?? 0)
  const sentCount = Number(/(\d+) requests in/.exec(printed)?.[1] ?? 0)
  if (failed !== null || sentCount === 0) throw new Error(`wrk: ${failed?.[0] ?? printed}`)
  if (requests !== undefined && requests.again !== true && sentCount > requests.count) {
    throw new Error(`wrk sent ${sentCount} requests and had only ${requests.count} different ones`)
  }
  return { perSecond, requests: sentCount, generatorMs: sendingMs(printed) }
}

/** Of what the shell's `times` says of its children, in the last line, what the script left. */
function sendingMs(printed: string): number {
  const made = Number(/^made after ([\d.]+) s$/m.exec(printed)?.[1] ?? 0)
  const line = printed.trimEnd().split('\n').at(-1) ?? ''
  const seconds = [...line.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, rest]) => 60 * Number(minutes) + Number(rest),
  )
  return Math.max(0, seconds.reduce((sum, each) => sum + each, 0) - made) * 1_000
}

/** Gives the rate of one round; what a bench puts beside others in turn. */
export const perSecond =
  (cores: Cores, load: Load) =>
  async (round: number): Promise<number> =>
    (await runWrk(cores, load, { seconds: roundSeconds, round })).perSecond

let folder: string | undefined

/** Every request is made before the first is sent: while it runs only a table is read. */
function scriptOf({ count, lua }: Requests): string {
  folder ??= mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const file = join(folder, 'requests.lua')
  writeFileSync(
    file,
    `local function make(i, round)
${lua}
end
local made, at = {}, 0
function init(args)
  local round = tonumber(args[1])
  for i = 1, ${count} do made[i] = make(i - 1, round) end
  print("made after " .. os.clock() .. " s")
end
function request()
  at = at < ${count} and at + 1 or 1
  return made[at]
end
`,
  )
  return file
}

function outputOf([command = '', ...words]: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    child.stdout.on('data', chunk => {
      printed += chunk
    })
    child.stderr.on('data', chunk => {
      printed += chunk
    })
    child.once('error', error => reject(new Error(`wrk is needed for this bench: ${error}`)))
    child.once('close', () => resolve(printed))
  })
}
