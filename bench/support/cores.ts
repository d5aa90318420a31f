/**
 * Which cores a server is given and which are left to its load generator.
 *
 * Owns the settings that every bench goes through (one core, two cores) and the words that pin a
 * process to them. Where the machine has no `taskset` nothing is pinned, and the rows say so.
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** One setting. The lists are those of taskset: `0` or `0,1`. */
export interface Cores {
  /** For the figure's name: `1 core`. */
  readonly name: string
  readonly server: string
  readonly client: string
}

const available = availableParallelism()
const canPin = spawnSync('taskset', ['-c', '0', 'true']).status === 0

/** The generator gets the cores that the server has not, as far as there are any. */
const oneCore: Cores = { name: '1 core', server: '0', client: others(1) }
const twoCores: Cores = {
  name: available > 1 ? '2 cores' : '2 cores wanted, 1 there',
  server: available > 1 ? '0,1' : '0',
  client: others(2),
}
export const bothSettings: readonly Cores[] = [oneCore, twoCores]

function others(taken: number): string {
  const first = available > taken ? taken : 0
  return Array.from({ length: available - first }, (_, index) => first + index).join(',')
}

/** Whether the generator has a core that the server does not use. */
export const hasOwnCore = ({ server, client }: Cores): boolean =>
  canPin && client.split(',').some(core => !server.split(',').includes(core))

/** The command line that runs a program on some cores. */
export function pinned(cores: string, command: string, words: readonly string[]): string[] {
  return canPin ? ['taskset', '-c', cores, command, ...words] : [command, ...words]
}

/** What a table must say of the machine. */
export const machine = (): string =>
  `${available} cores${canPin ? '' : ', not pinned (no taskset)'}, node ${process.version}`

/** Keeps the bench itself off the server's cores where it can. */
export function pinSelf({ client }: Cores): void {
  if (canPin) spawnSync('taskset', ['-cp', client, `${process.pid}`])
}
