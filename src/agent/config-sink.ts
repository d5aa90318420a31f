/**
 * Blocks `sink "name" { … }`: of an agent's configuration, and of the files of `gatehouse sync`.
 *
 * Owns how the blocks are found and that each name stands once. What a sink may say is the feed
 * room's (feed/sink/task-definition.ts).
 */
import { messageOf, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { sinkKinds } from '../feed/sink/mod.ts'
import { readTask, type TaskDefinition } from '../feed/sink/task-definition.ts'
import { blocksOf, type HclObject, type HclValue, isObject } from '../hcl/hcl.ts'
import type { Settings } from './config-read.ts'

/** Tells of a mistake in a field of a block. */
type Complain = (block: HclObject, field: string, problem: string) => void

/** Reads what stands behind `sink`: blocks with a name; undefined when it is nothing like that. */
export function readSinkBlocks(value: HclValue, complain: Complain): TaskDefinition[] | undefined {
  const tasks: TaskDefinition[] = []
  for (const named of blocksOf(value) ?? [undefined]) {
    if (named === undefined) return undefined
    for (const [name, given] of Object.entries(named)) {
      const blocks = isObject(given) || Array.isArray(given) ? blocksOf(given) : undefined
      if (blocks === undefined) {
        complain(named, name, 'a sink has a name: sink "name" { … }')
        continue
      }
      for (const block of blocks) {
        const read = readTask(name, block, 'local', sinkKinds)
        if (!('problems' in read)) tasks.push(read)
        else for (const { field, problem } of read.problems) complain(block, field, problem)
      }
    }
  }
  return tasks
}

/** The sinks of a configuration. */
export function buildSinks(settings: Settings): readonly TaskDefinition[] {
  const sinks = settings.get('sink')
  for (const problem of tasksProblems(sinks)) settings.complain('sink', problem)
  return sinks
}

/** What is wrong with sinks that are each right by themselves. */
export function tasksProblems(tasks: readonly TaskDefinition[]): string[] {
  const names = new Set(tasks.map(({ name }) => name))
  return [
    ...(names.size < tasks.length ? ['each name stands once'] : []),
    ...(tasks.length > limits.sinksConfigured ? [`more than ${limits.sinksConfigured}`] : []),
  ]
}

/** Reads the files that sinks stand on; gives what is wrong with them, each with its sink. */
export async function prepareSinks(
  tasks: readonly TaskDefinition[],
  readText: (path: string) => Promise<string>,
): Promise<{ readonly tasks: readonly TaskDefinition[]; readonly problems: readonly string[] }> {
  const problems: string[] = []
  const prepared: TaskDefinition[] = []
  for (const task of tasks) {
    const wrong = (text: string): void => {
      problems.push(`sink ${JSON.stringify(task.name)}: ${text}`)
    }
    try {
      const settings = await (task.kind.prepare?.(task.settings, readText) ?? task.settings)
      if (settings instanceof Refusal) wrong(settings.text)
      else {
        // A template that is another one makes the sink another one.
        const words = JSON.stringify([task.words, settings])
        prepared.push(Object.freeze({ ...task, settings: Object.freeze(settings), words }))
      }
    } catch (error) {
      wrong(messageOf(error))
    }
  }
  return { tasks: prepared, problems }
}
