/**
 * Taking over a changed configuration while the agent runs.
 *
 * Owns the order: read everything anew, refuse it as a whole if anything in it is wrong, then hand
 * it to the parts that can take it, and say in the log what was taken and what needs a restart.
 * Each part says for itself which settings it takes; what none takes stays as it was.
 */
import { same } from '../base/equal.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { ConfigResult, SettledConfig } from './config.ts'

/** A part of the agent that takes over settings without a restart. */
export interface Reloadable {
  /** Names of `Config` and what is below them, with dots: `log.level`. */
  readonly takes: readonly string[]
  /** Whether it is told of every reload, also where none of its settings changed. */
  readonly always?: boolean
  /** What is wrong with its settings, asked before anybody takes anything. */
  check?(next: SettledConfig): string | undefined
  apply(next: SettledConfig): Promise<void> | void
}

export interface ReloaderPorts {
  /** Reads the configuration as the start did. */
  readonly load: () => Promise<ConfigResult>
  readonly log: Log
}

export class Reloader {
  readonly #ports: ReloaderPorts
  readonly #parts: readonly Reloadable[]
  #config: SettledConfig
  #running: Promise<readonly string[]> = Promise.resolve([])

  constructor(config: SettledConfig, parts: readonly Reloadable[], ports: ReloaderPorts) {
    this.#config = config
    this.#parts = parts
    this.#ports = ports
  }

  /** Reloads, one after the other; gives what is wrong, none of which is taken over then. */
  reload(): Promise<readonly string[]> {
    this.#running = this.#running.then(() => this.#reload())
    return this.#running
  }

  async #reload(): Promise<readonly string[]> {
    const problems = await this.#tryReload().catch((error: unknown) => [messageOf(error)])
    for (const problem of problems) this.#ports.log.error('reload refused', { problem })
    return problems
  }

  async #tryReload(): Promise<readonly string[]> {
    const { load, log } = this.#ports
    const loaded = await load()
    if ('problems' in loaded) return loaded.problems
    const now = this.#config
    const next = { ...loaded.config, nodeId: loaded.config.nodeId ?? now.nodeId }
    const changes = changedPaths(now, next)
    const concerned = this.#parts.filter(
      part => part.always === true || changes.some(path => takes(part, path)),
    )
    const problems = concerned.flatMap(part => part.check?.(next) ?? [])
    if (problems.length > 0) return problems
    for (const warning of loaded.warnings) log.warn(warning)
    const waiting = changes.filter(path => !this.#parts.some(part => takes(part, path)))
    const effective = waiting.reduce((config, path) => withOld(config, now, path), next)
    for (const part of concerned) await part.apply(effective)
    this.#config = effective
    const taken = changes.filter(path => !waiting.includes(path))
    log.info('configuration reloaded', { changed: textOf(taken) })
    if (waiting.length > 0) {
      log.warn('settings that need a restart were not taken over', { changed: textOf(waiting) })
    }
    return []
  }
}

type Path = readonly string[]

const takes = (part: Reloadable, path: Path): boolean =>
  part.takes.some(name => {
    const wanted = name.split('.')
    return wanted.length <= path.length && wanted.every((word, at) => word === path[at])
  })

/** Names only: a value may be a secret. */
const textOf = (paths: readonly Path[]): string =>
  paths.length === 0 ? 'nothing' : paths.map(path => path.join('.')).join(', ')

const isStanza = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Where two configurations differ, as deep as both have stanzas. */
export function changedPaths(before: unknown, next: unknown, at: Path = []): Path[] {
  if (same(before, next)) return []
  if (!isStanza(before) || !isStanza(next)) return [at]
  const names = new Set([...Object.keys(before), ...Object.keys(next)])
  return [...names].flatMap(name => changedPaths(before[name], next[name], [...at, name]))
}

/** `next` with what `old` has at a path. */
function withOld<T>(next: T, old: T, [name, ...rest]: Path): T {
  if (name === undefined) return old
  const [ours, theirs] = [next as Record<string, unknown>, old as Record<string, unknown>]
  return { ...ours, [name]: withOld(ours[name], theirs[name], rest) } as T
}
