/**
 * `sys/host-info`, `sys/metrics`, `sys/monitor` and what else looks into the running process.
 *
 * Owns their words. Snapshots of the heap are never taken, since secrets would be in them.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { LineQueue } from '../../../base/line-queue.ts'
import { logLevelOf } from '../../../base/log.ts'
import { metricsSummary, prometheusText } from '../../../base/metrics-forms.ts'
import { type ActCall, NOTHING, type Outcome, type PathSpec, path } from '../../declare.ts'
import { int, str } from '../../field.ts'
import { anyObject, anything, list, mapOf, object, text, time } from '../../shape.ts'
import type { RuntimePort, SystemPorts } from './ports.ts'

/** The paths of the running process. */
export const runtimePaths = ({ runtime, server }: SystemPorts): PathSpec[] => [
  hostPath(runtime, () => server.nowMs()),
  inFlightPath(runtime),
  metricsPath(runtime),
  monitorPath(runtime),
  loggersPath(runtime),
  loggerPath(runtime),
  profileIndexPath,
  profilePath(runtime),
]

const iso = (timeMs: number): string => new Date(timeMs).toISOString()

const hostPath = (runtime: RuntimePort, nowMs: () => number): PathSpec =>
  path({
    pattern: 'host-info',
    help: {
      synopsis: 'Tells of the machine that this server runs on.',
      description: 'Memory, processors, system and disk, under the names of gopsutil.',
    },
    fields: {},
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Tells of the machine that this server runs on.',
        answer: object({
          timestamp: time,
          cpu: list(anything),
          cpu_times: list(anything),
          disk: list(anything),
          host: anyObject,
          memory: anyObject,
        }),
        act: async () => ({ data: { timestamp: iso(nowMs()), ...(await runtime.host()) } }),
      },
    },
  })

const inFlightPath = (runtime: RuntimePort): PathSpec =>
  path({
    pattern: 'in-flight-req',
    help: {
      synopsis: 'Lists the requests that are being answered.',
      description: 'By their ids, this one among them.',
    },
    fields: {},
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Lists the requests that are being answered.',
        answer: mapOf(
          object({
            start_time: time,
            client_remote_address: text,
            request_path: text,
            request_method: text,
            client_id: text,
          }),
        ),
        act: () => ({
          data: Object.fromEntries(
            [...runtime.inFlight()].map(({ id, startedMs, remote, path: asked, method }) => [
              id,
              {
                start_time: iso(startedMs),
                client_remote_address: remote,
                request_path: asked,
                request_method: method,
                client_id: '',
              },
            ]),
          ),
        }),
      },
    },
  })

const metricsFields = { format: str('`prometheus` for its text format.') }
const PROMETHEUS_TYPES = /^text\/plain|^application\/openmetrics-text/

const metricsPath = (runtime: RuntimePort): PathSpec =>
  path({
    pattern: 'metrics',
    help: {
      synopsis: 'Shows what this server counted.',
      description: 'In the last interval of ten seconds; for Prometheus since the start.',
    },
    fields: metricsFields,
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Shows what this server counted.',
        answer: anyObject,
        act: call => metrics(runtime, call),
      },
    },
  })

function metrics(runtime: RuntimePort, call: ActCall<typeof metricsFields>): Outcome {
  const { format } = call.fields
  if (format !== undefined && format !== '' && format !== 'prometheus') {
    return new Refusal(400, `metric response format ${JSON.stringify(format)} unknown`)
  }
  const accept = call.request.headers.accept ?? ''
  const forPrometheus = format === 'prometheus' || (!format && PROMETHEUS_TYPES.test(accept))
  if (!forPrometheus) return { bare: metricsSummary(runtime.metrics, runtime.naming()) }
  const retentionMs = runtime.prometheusRetentionMs()
  if (retentionMs === 0) return new Refusal(400, 'prometheus is not enabled')
  const body = prometheusText(runtime.metrics, runtime.naming(), retentionMs)
  return { raw: { body, type: 'text/plain; version=0.0.4; charset=utf-8' } }
}

const monitorFields = {
  log_level: str('trace, debug, info, warn or error; info by default.'),
  log_format: str('`standard`, or `json` for one JSON object a line.'),
}

const monitorPath = ({ log }: RuntimePort): PathSpec =>
  path({
    pattern: 'monitor',
    help: {
      synopsis: "Shows this server's log as it comes.",
      description: 'Until the client leaves. Lines that it does not read in time are counted.',
    },
    fields: monitorFields,
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: "Shows this server's log as it comes.",
        act({ fields }: ActCall<typeof monitorFields>): Outcome {
          const level = logLevelOf(fields.log_level || 'info')
          if (level === undefined) return new Refusal(400, 'unknown log level')
          const format = fields.log_format || 'standard'
          if (format !== 'standard' && format !== 'json') {
            return new Refusal(400, 'unknown log format')
          }
          return { parts: signal => lines(log, level, format === 'json', signal), type: LINES }
        },
      },
    },
  })

const LINES = 'text/plain; charset=utf-8'

async function* lines(
  log: RuntimePort['log'],
  level: NonNullable<ReturnType<typeof logLevelOf>>,
  json: boolean,
  signal: AbortSignal,
): AsyncIterable<string> {
  const queue = new LineQueue()
  const stop = log.follow({ level, json, take: line => queue.push(line) })
  try {
    yield* queue.pieces(signal, lost =>
      json
        ? `${JSON.stringify({ '@level': 'warn', '@message': 'lines were dropped', lines: lost })}\n`
        : `[WARN]  lines were dropped, as they were not read in time: lines=${lost}\n`,
    )
  } finally {
    stop()
  }
}

/** There is one log; clients ask for it by a name. */
const LOGGER = 'core'
const levelFields = { level: str('trace, debug, info, warn or error.') }

function setLevel({ log }: RuntimePort, said: string | undefined): Outcome {
  if (said === undefined) return new Refusal(400, 'level is required')
  if (said === '') return new Refusal(400, 'level is empty')
  const level = logLevelOf(said)
  if (level === undefined) return new Refusal(400, 'invalid level provided: unknown log level')
  log.setLevel(level)
  return NOTHING
}

const loggersPath = (runtime: RuntimePort): PathSpec =>
  path({
    pattern: 'loggers',
    help: {
      synopsis: 'Shows and sets how much is logged.',
      description: `There is one log, by the name of \`${LOGGER}\`.`,
    },
    fields: levelFields,
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Shows how much is logged.',
        answer: mapOf(text),
        act: () => ({ data: { [LOGGER]: runtime.log.level() } }),
      },
      update: {
        summary: 'Sets how much is logged, until the next start.',
        examples: [{ level: 'debug' }],
        act: ({ fields }: ActCall<typeof levelFields>) => setLevel(runtime, fields.level),
      },
      delete: {
        summary: 'Logs as much as is configured.',
        act() {
          runtime.log.setLevel(undefined)
          return NOTHING
        },
      },
    },
  })

const namedFields = { name: str('The name of a log.'), ...levelFields }

const loggerPath = (runtime: RuntimePort): PathSpec => {
  const named =
    (act: (call: ActCall<typeof namedFields>) => Outcome) =>
    (call: ActCall<typeof namedFields>): Outcome =>
      call.fields.name === LOGGER
        ? act(call)
        : new Refusal(400, `logger ${JSON.stringify(call.fields.name)} not found`)
  return path({
    pattern: 'loggers/{name}',
    help: {
      synopsis: 'Shows and sets how much a log takes.',
      description: `There is one, by the name of \`${LOGGER}\`.`,
    },
    fields: namedFields,
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Shows how much is logged.',
        answer: mapOf(text),
        act: named(() => ({ data: { [LOGGER]: runtime.log.level() } })),
      },
      update: {
        summary: 'Sets how much is logged, until the next start.',
        examples: [{ level: 'debug' }],
        act: named(({ fields }) => setLevel(runtime, fields.level)),
      },
      delete: {
        summary: 'Logs as much as is configured.',
        act: named(() => {
          runtime.log.setLevel(undefined)
          return NOTHING
        }),
      },
    },
  })
}

const profileIndexPath = path({
  pattern: 'pprof',
  help: {
    synopsis: 'Lists the profiles that there are.',
    description: 'That of the processor: profiles of Go do not exist here.',
  },
  fields: {},
  access: 'authorized',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Lists the profiles that there are.',
      answer: anyObject,
      act: () => ({ raw: { body: 'profile\n', type: LINES } }),
    },
  },
})

const profileFields = {
  profile: str('`profile`, of the processor.'),
  seconds: int('How long is looked; 30 by default.'),
}
const SECONDS_DEFAULT = 30

const profilePath = (runtime: RuntimePort): PathSpec =>
  path({
    pattern: 'pprof/{profile}',
    help: {
      synopsis: 'Takes a profile of the running program.',
      description: "In pprof's own form. It says which functions ran, and nothing that they held.",
    },
    fields: profileFields,
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Takes a profile of the running program.',
        act: call => profile(runtime, call),
      },
    },
  })

function profile({ profiler }: RuntimePort, { fields }: ActCall<typeof profileFields>): Outcome {
  if (fields.profile !== 'profile') {
    return new Refusal(501, 'not served yet: of the profiles, there is that of the processor')
  }
  const seconds = fields.seconds ?? SECONDS_DEFAULT
  if (seconds < 1 || seconds * 1_000 > limits.profileMaxMs) {
    return new Refusal(400, `seconds must be from 1 to ${limits.profileMaxMs / 1_000}`)
  }
  if (profiler.isRunning) {
    return new Refusal(500, 'Could not enable CPU profiling: it is already in use')
  }
  return {
    type: 'application/octet-stream',
    headers: { 'Content-Disposition': 'attachment; filename="profile"' },
    async *parts(signal) {
      yield await profiler.profile(seconds * 1_000, signal)
    },
  }
}
