/**
 * The verbs `sync plan`, `sync apply` and `sync validate`: sinks looked at once.
 *
 * Owns what is printed and the exit codes: 0 where all is in order or was applied, 2 where `plan`
 * found something to change, 1 where anything could not be said or done.
 */
import { sinkWorld } from '../../agent/sink-ports.ts'
import { applyOnce, type Once, type OncePorts, planOnce } from '../../feed/sink/once.run.ts'
import type { TaskDefinition } from '../../feed/sink/task-definition.ts'
import { onceJson } from '../../http/registry/sinks.ts'
import { formatFlag, wantsJson } from '../client.ts'
import { type Call, type Command, fail } from '../command.ts'
import { fileFlags, tasksOf } from './files.ts'
import { followFlags, followOf } from './follow.ts'

const CHANGES = 2

export const syncPlan: Command = {
  usage: '[options] -config=FILE',
  flags: [...fileFlags, formatFlag, ...followFlags],
  examples: ['-config=sinks.hcl', '-config=sinks.d -sink=web -http-addr=10.0.0.1:8500'],
  async run(call) {
    const found = await each(call, planOnce)
    const changes = found.some(({ once }) => 'changes' in once && once.changes.length > 0)
    return hasFailed(found) ? 1 : changes ? CHANGES : 0
  },
}

export const syncApply: Command = {
  usage: '[options] -config=FILE',
  flags: [...fileFlags, formatFlag, ...followFlags],
  examples: ['-config=sinks.hcl', '-config=sinks.hcl -sink=web -token-file=/run/token'],
  run: async call => (hasFailed(await each(call, applyOnce)) ? 1 : 0),
}

export const syncValidate: Command = {
  usage: '-config=FILE',
  flags: fileFlags,
  examples: ['-config=sinks.hcl', '-config=sinks.d'],
  async run(call) {
    try {
      const tasks = await tasksOf(call)
      call.io.print(`Valid: ${tasks.length === 1 ? '1 sink' : `${tasks.length} sinks`}`)
      return 0
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return fail(call.io, error.message)
    }
  },
}

interface Found {
  readonly task: TaskDefinition
  readonly once: Once
}

const hasFailed = (found: readonly Found[]): boolean => found.some(({ once }) => 'text' in once)

/** Looks at each sink, side by side; prints in their order. */
async function each(
  call: Call,
  look: (task: TaskDefinition, ports: OncePorts) => Promise<Once>,
): Promise<readonly Found[]> {
  const { clock, random, environment } = call.io
  const tasks = await tasksOf(call)
  const followAs = await followOf(call)
  const world = sinkWorld({ clock, random, environment, allow: [] })
  try {
    const found = await Promise.all(
      tasks.map(async task => {
        const { portsOf } = world
        const once = await look(task, { clock, portsOf, follow: followAs(task.token) })
        return { task, once }
      }),
    )
    call.io.print(wantsJson(call) ? jsonOf(found) : found.map(textOf).join('\n'))
    return found
  } finally {
    await world.close()
  }
}

const jsonOf = (found: readonly Found[]): string => {
  const list = found.map(({ task, once }) => ({ Name: task.name, ...onceJson(once) }))
  return JSON.stringify(list, undefined, 2)
}

function textOf({ task, once }: Found): string {
  const name = `${task.name} (${task.kind.kind})`
  if ('text' in once) return `${name}: ${once.how}: ${once.text}`
  const { changes, problems, summary } = once
  const did = once.how === 'applied' ? 'applied' : 'to change'
  const head = changes.length === 0 ? 'in order' : `${changes.length} ${did}`
  const lines = [...changes.map(one => `  ${one}`), ...problems.map(one => `  note: ${one}`)]
  return [`${name}: ${head}${summary === '' ? '' : `; ${summary}`}`, ...lines].join('\n')
}
