/**
 * What a task is told: which target it has, what it follows, when it goes.
 *
 * Owns the names of the fields, which are the same in a stanza `sink "name" { … }` of the
 * configuration and in a body of `/v1/sinks/`, and what is refused. What a request may say is less:
 * see schema.ts. Pure.
 */
import { limits } from '../../base/limits.ts'
import type { SinkKind } from './declare.ts'
import {
  readSettings,
  type SettingFields,
  type SettingProblem,
  type SettingsFrom,
  type SettingsOf,
  type SettingValues,
  shownSettings,
} from './schema.ts'
import type { UsableStatus } from './state.ts'
import type { TaskPace } from './task.ts'
import { readSchedule, type Schedule } from './task-schedule.ts'

/** The fields of a task beside those of its kind. */
const taskFields = {
  kind: { type: 'text', isRequired: true, help: 'what kind of target it is' },
  enabled: { type: 'switch', byDefault: true, help: 'whether it goes' },
  services: { type: 'texts', byDefault: [], help: 'names of services that it follows' },
  filter: {
    type: 'text',
    byDefault: '',
    help: 'which instances of them, as in /v1/health/service',
  },
  kv: { type: 'texts', byDefault: [], help: 'prefixes of keys that it follows' },
  condition: {
    type: 'text',
    oneOf: ['any', 'services', 'kv'],
    byDefault: 'any',
    help: 'which changes it goes by; others wait for one of those',
  },
  schedule: {
    type: 'text',
    byDefault: '',
    help: 'changes wait for a time of this, as cron has it, in UTC',
  },
  min_instances: {
    type: 'count',
    byDefault: 0,
    max: 100_000,
    help: 'a state with fewer usable instances of a service is not applied',
  },
  buffer_min: {
    type: 'duration',
    byDefault: 200,
    help: 'a change waits until nothing else changed for so long',
  },
  buffer_max: { type: 'duration', byDefault: 2_000, help: 'and never longer than this' },
  retry_min: {
    type: 'duration',
    byDefault: 1_000,
    minMs: 100,
    help: 'wait after a target failed or refused; doubled each time',
  },
  retry_max: { type: 'duration', byDefault: 60_000, minMs: 100, help: 'the longest such wait' },
  timeout: {
    type: 'duration',
    byDefault: 30_000,
    minMs: 100,
    help: 'what one application may take',
  },
  verify_interval: {
    type: 'duration',
    byDefault: 30_000,
    help: 'how often the target is compared while nothing changes; 0 is never',
  },
  token: {
    type: 'text',
    byDefault: '',
    isSecret: true,
    help: 'token that it follows with; by default the one of who asks nothing',
  },
} as const satisfies SettingFields

type TaskValues = SettingsOf<typeof taskFields>

/** A task as it was read. */
export interface TaskDefinition {
  readonly name: string
  readonly kind: SinkKind
  readonly settings: SettingValues
  readonly services: readonly string[]
  readonly filter: string
  readonly kv: readonly string[]
  readonly isEnabled: boolean
  readonly condition: 'any' | 'services' | 'kv'
  readonly schedule: Schedule | undefined
  readonly minInstances: number
  readonly pace: TaskPace
  readonly timeoutMs: number
  /** A secret. */
  readonly token: string
  /** The same text for the same words: whether a definition changed. There are secrets in it. */
  readonly words: string
  /** As it may be shown. */
  readonly shown: Readonly<Record<string, unknown>>
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/**
 * Reads a task: all that is wrong with it is told. `from` says who speaks; kinds that write files
 * or run programs are refused to whoever reaches the API.
 */
export function readTask(
  name: string,
  given: Readonly<Record<string, unknown>>,
  from: SettingsFrom,
  kinds: readonly SinkKind[],
): TaskDefinition | { readonly problems: readonly SettingProblem[] } {
  const { settings: block, ...rest } = given
  const read = readSettings(taskFields, rest, from)
  const problems = [...nameProblems(name), ...('problems' in read ? read.problems : [])]
  const kind = kinds.find(one => one.kind === given.kind)
  if (kind === undefined && typeof given.kind === 'string') {
    const known = kinds.map(one => one.kind).join(', ')
    problems.push({ field: 'kind', problem: `must be one of ${known}` })
  }
  if (kind?.isLocal === true && from === 'api') {
    problems.push({ field: 'kind', problem: localText(kind) })
    return { problems }
  }
  const settings = kind && settingsOf(kind, block, from)
  if (settings !== undefined && 'problems' in settings) problems.push(...settings.problems)
  const schedule = given.schedule ? readSchedule(String(given.schedule)) : undefined
  if (schedule !== undefined && 'problem' in schedule) {
    problems.push({ field: 'schedule', problem: schedule.problem })
  }
  if ('problems' in read || kind === undefined) return { problems }
  const values = read.values as TaskValues
  problems.push(...followProblems(values), ...paceProblems(values))
  if (problems.length > 0 || settings === undefined || 'problems' in settings) return { problems }
  return definitionOf(name, kind, values, settings.values, schedule as Schedule | undefined)
}

const localText = ({ kind }: SinkKind): string =>
  `${kind} writes files or runs programs: only the configuration of the machine that runs it, or ` +
  '`gatehouse sync` there, may declare one'

function nameProblems(name: string): SettingProblem[] {
  if (NAME.test(name)) return []
  const problem = 'must be 1 to 64 letters, digits, dots, dashes or underscores'
  return [{ field: 'name', problem }]
}

function settingsOf(
  kind: SinkKind,
  block: unknown,
  from: SettingsFrom,
): { readonly values: SettingValues } | { readonly problems: readonly SettingProblem[] } {
  const prefixed = ({ field, problem }: SettingProblem) => ({ field: `settings.${field}`, problem })
  // A block of the configuration is a list of one.
  const one: unknown = Array.isArray(block) && block.length === 1 ? block[0] : (block ?? {})
  if (typeof one !== 'object' || one === null || Array.isArray(one)) {
    return { problems: [{ field: 'settings', problem: 'must be a block' }] }
  }
  const read = readSettings(kind.fields, one as Readonly<Record<string, unknown>>, from)
  if ('problems' in read) return { problems: read.problems.map(prefixed) }
  const problem = kind.problemOf(read.values)
  return problem === undefined ? read : { problems: [{ field: 'settings', problem }] }
}

function followProblems({ services, kv, condition }: TaskValues): SettingProblem[] {
  const problems: SettingProblem[] = []
  const wrong = (field: string, problem: string): void => {
    problems.push({ field, problem })
  }
  if (services.length + kv.length === 0) wrong('services', 'it follows neither services nor keys')
  if (services.length > limits.sinkServices) wrong('services', `more than ${limits.sinkServices}`)
  if (kv.length > limits.sinkPrefixes) wrong('kv', `more than ${limits.sinkPrefixes}`)
  if (new Set(services).size < services.length) wrong('services', 'each name stands once')
  if (new Set(kv).size < kv.length) wrong('kv', 'each prefix stands once')
  if (condition === 'kv' && kv.length === 0) wrong('condition', 'it follows no keys')
  if (condition === 'services' && services.length === 0)
    wrong('condition', 'it follows no services')
  return problems
}

function paceProblems(values: TaskValues): SettingProblem[] {
  const problems: SettingProblem[] = []
  if (values.buffer_max < values.buffer_min) {
    problems.push({ field: 'buffer_max', problem: 'is shorter than buffer_min' })
  }
  if (values.retry_max < values.retry_min) {
    problems.push({ field: 'retry_max', problem: 'is shorter than retry_min' })
  }
  return problems
}

function definitionOf(
  name: string,
  kind: SinkKind,
  values: TaskValues,
  settings: SettingValues,
  schedule: Schedule | undefined,
): TaskDefinition {
  const shown = {
    ...shownSettings(taskFields, { ...values, token: values.token || undefined }),
    settings: shownSettings(kind.fields, settings),
  }
  return {
    ...{ name, kind, settings, schedule, shown },
    services: values.services,
    filter: values.filter,
    kv: values.kv,
    isEnabled: values.enabled,
    condition: values.condition as TaskDefinition['condition'],
    minInstances: values.min_instances,
    pace: {
      bufferMinMs: values.buffer_min,
      bufferMaxMs: values.buffer_max,
      retryMinMs: values.retry_min,
      retryMaxMs: values.retry_max,
      verifyMs: values.verify_interval,
    },
    timeoutMs: values.timeout,
    token: values.token,
    words: JSON.stringify([name, values, settings]),
  }
}

/** What is wrong, in one line. */
export const problemsText = (problems: readonly SettingProblem[]): string =>
  problems.map(({ field, problem }) => `${field}: ${problem}`).join('; ')

/** Which instances of its services the task's target uses. */
export const usableOf = ({ settings }: TaskDefinition): UsableStatus =>
  (settings.use as UsableStatus | undefined) ?? 'warning'
