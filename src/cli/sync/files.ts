/**
 * The files of `gatehouse sync`: blocks `sink "name" { … }` and nothing else, in HCL or JSON.
 *
 * Owns where they are read from, and that all that is wrong is told with its place. What a sink may
 * say is read as in the configuration of an agent.
 */
import { readFile } from 'node:fs/promises'
import { readTexts } from '../../agent/config-load.ts'
import type { ConfigText } from '../../agent/config-read.ts'
import { prepareSinks, readSinkBlocks, tasksProblems } from '../../agent/config-sink.ts'
import { messageOf } from '../../base/errors.ts'
import type { TaskDefinition } from '../../feed/sink/task-definition.ts'
import { HclError, parseWithPositions } from '../../hcl/hcl.ts'
import type { Call, Flag } from '../command.ts'
import { ClientError } from '../exchange.ts'

export const fileFlags: readonly Flag[] = [
  {
    name: 'config',
    kind: 'list',
    doc: 'file of sinks (.hcl or .json), or a folder of such files; may be repeated',
  },
  { name: 'sink', kind: 'list', doc: 'only the sink of this name; may be repeated' },
]

/** The sinks that a call is about. Throws ClientError with all that is wrong, a line each. */
export async function tasksOf({ flags }: Call): Promise<readonly TaskDefinition[]> {
  const paths = flags.list('config')
  if (paths.length === 0) throw new ClientError('-config must be given: a file of sinks')
  const { tasks, problems } = await readAll(paths)
  if (problems.length > 0) throw new ClientError(problems.join('\n'))
  const names = flags.list('sink')
  for (const name of names) {
    if (!tasks.some(task => task.name === name)) throw new ClientError(`there is no sink ${name}`)
  }
  return names.length === 0 ? tasks : tasks.filter(({ name }) => names.includes(name))
}

async function readAll(
  paths: readonly string[],
): Promise<{ readonly tasks: readonly TaskDefinition[]; readonly problems: readonly string[] }> {
  const problems: string[] = []
  const tasks: TaskDefinition[] = []
  for (const path of paths) {
    const texts = await readTexts(path, false, 'auto').catch((error: unknown) => {
      problems.push(messageOf(error))
      return []
    })
    for (const text of texts) tasks.push(...readText(text, problems))
  }
  if (problems.length === 0) problems.push(...tasksProblems(tasks).map(one => `sink: ${one}`))
  const prepared = await prepareSinks(tasks, path => readFile(path, 'utf8'))
  return { tasks: prepared.tasks, problems: [...problems, ...prepared.problems] }
}

function readText({ name, text, format }: ConfigText, problems: string[]): TaskDefinition[] {
  try {
    const { value, positions } = parseWithPositions(text, { format })
    const at = (object: object, key: string): string => {
      const line = positions.get(object as never)?.get(key)?.line
      return line === undefined ? name : `${name}:${line}`
    }
    for (const key of Object.keys(value)) {
      if (key !== 'sink') problems.push(`${at(value, key)}: unknown key ${JSON.stringify(key)}`)
    }
    if (value.sink === undefined || value.sink === null) return []
    const tasks = readSinkBlocks(value.sink, (block, field, problem) => {
      problems.push(`${at(block, field)}: sink: ${field}: ${problem}`)
    })
    if (tasks === undefined) {
      problems.push(`${at(value, 'sink')}: sink: must be blocks with a name: sink "name" { … }`)
    }
    return tasks ?? []
  } catch (error) {
    if (!(error instanceof HclError)) throw error
    problems.push(`${name}: ${error.message}`)
    return []
  }
}
