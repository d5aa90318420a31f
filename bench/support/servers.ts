/**
 * The servers that benches put beside each other: ours, the bare ones, and the peer.
 *
 * Owns how each is started. Ours is the program itself with its usual flags; only the probe is
 * loaded beside it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BareAnswer } from './bare.ts'
import { type Child, freePort, type LoopFigures, probed, startNode, startProgram } from './child.ts'
import { sleep } from './rounds.ts'

const bare = fileURLToPath(new URL('./bare.ts', import.meta.url))

const folders: string[] = []
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A folder that goes when the bench ends. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  folders.push(folder)
  return folder
}

export interface Server extends Child {
  readonly port: number
}

/** The words that start our program on a folder. */
export function agentWords(folder: string, port: number, dnsPort: number): string[] {
  const ports = `ports { http = ${port} dns = ${dnsPort} secrets = -1 }`
  // All clients of a bench have one address.
  const unlimited = 'limits { http_max_conns_per_client = -1 }'
  const flags = [
    `-data-dir=${folder}`,
    '-node=bench',
    '-log-level=warn',
    // Several run beside each other, and none has another agent to hear.
    '-server-port=-1',
    '-hcl',
    ports,
    '-hcl',
    unlimited,
  ]
  return ['agent', ...flags]
}

export interface AgentStart {
  readonly folder?: string
  readonly isProbed?: boolean
  /** More flags. */
  readonly more?: readonly string[]
}

/** Starts our agent and resolves when it says that it is ready. */
export async function startAgent(
  cores: string,
  { folder = makeFolder(), isProbed = true, more = [] }: AgentStart = {},
): Promise<Server> {
  const port = await freePort()
  const words = [...agentWords(folder, port, await freePort()), ...more]
  const child = await startProgram(cores, words, { isReady: /^Ready\.$/m, isProbed })
  return { ...child, port }
}

export type BareKind = 'get' | 'put' | 'post' | 'node' | 'secure' | 'sockets' | 'idle'

/** Starts one of the bare servers, with the answer that it gives. */
export async function startBare(
  cores: string,
  kind: BareKind,
  answer: Omit<BareAnswer, 'folder'> & { readonly folder?: string } = NO_ANSWER,
): Promise<Server> {
  const folder = makeFolder()
  const file = join(folder, 'answer.json')
  writeFileSync(file, JSON.stringify({ folder: join(folder, 'store'), ...answer }))
  const port = await freePort()
  const isReady = /^Ready\.$/m
  const child = await startNode(cores, [...probed, bare, kind, `${port}`, file], { isReady })
  return { ...child, port }
}

const NO_ANSWER = { headers: {}, bodyBase64: '' }

/** The loop of a process that does nothing, on the same cores. */
export async function idleLoop(cores: string): Promise<LoopFigures> {
  const idle = await startBare(cores, 'idle')
  await idle.ask('reset')
  await sleep(IDLE_MS)
  const figures = await idle.ask<LoopFigures>('loop')
  await idle.stop()
  return figures
}

const IDLE_MS = 1_000
