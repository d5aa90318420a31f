/**
 * The metrics of this agent, in the forms that Consul's tools and Prometheus read.
 *
 * Owns which form a request gets. What is counted and how it is written stands in base/metrics.ts
 * and base/metrics-forms.ts.
 */

import { refuse } from '../../base/denied.ts'
import type { Metrics } from '../../base/metrics.ts'
import { type MetricNaming, metricsSummary, prometheusText } from '../../base/metrics-forms.ts'
import { access } from '../../base/who.ts'
import {
  type Acted,
  acting,
  definePath,
  json,
  type PathDeclaration,
  type Reply,
} from '../declare.ts'
import { string } from '../query.ts'
import { anything, bool, float, int, list, map, object, text } from '../shape.ts'

/** A certificate that the agent shows. */
export interface AgentCertificate {
  /** Where it is used. */
  readonly use: string
  readonly path: string
  readonly serial: string
  readonly subject: string
  readonly issuer: string
  readonly notAfter: Date
}

/** What there is to show, and how. */
export interface MetricsSource {
  readonly metrics: Metrics
  readonly nodeName: string
  naming(): MetricNaming
  /** How long series of which nothing is heard are shown to Prometheus; 0: nothing is. */
  prometheusRetentionMs(): number
  /** The certificates that are shown now. */
  certificates(): readonly AgentCertificate[]
  /** The wall clock's milliseconds. */
  now(): number
}

const spread = object({
  Name: text,
  Count: int,
  Rate: float,
  Sum: float,
  Min: float,
  Max: float,
  Mean: float,
  Stddev: float,
  Labels: map(text),
})

const summaryShape = object({
  Timestamp: text,
  Gauges: list(object({ Name: text, Value: float, Labels: map(text) })),
  Points: list(anything),
  Counters: list(spread),
  Samples: list(spread),
})

/** The paths of metrics. */
export function metricsPaths(source: MetricsSource): PathDeclaration[] {
  return [streamPath(source), certificatesPath(source), metricsPath(source)]
}

function metricsPath(source: MetricsSource): PathDeclaration {
  const rights = () => [access('read', 'agent', source.nodeName)]
  return definePath({
    where: 'agent',
    path: '/v1/agent/metrics',
    operations: {
      GET: acting({
        summary: 'What this agent counted in the last interval; for Prometheus since the start.',
        query: { format: string('prometheus for its text format.') },
        body: undefined,
        answers: {
          200: { json: summaryShape, help: 'one interval', orText: 'for Prometheus' },
          415: { text: 'Prometheus is asked for while prometheus_retention_time is 0.' },
        },
        access: rights,
        run({ query, accept, who }) {
          const denied = refuse(who, rights())
          if (denied !== undefined) return denied
          const forPrometheus = query.format === 'prometheus' || PROMETHEUS_TYPES.test(accept)
          if (forPrometheus) return prometheusReply(source)
          return json(metricsSummary(source.metrics, source.naming()))
        },
      }),
    },
  })
}

const TYPE = 'application/json'

function streamPath(source: MetricsSource): PathDeclaration {
  const rights = () => [access('read', 'agent', source.nodeName)]
  return definePath({
    where: 'agent',
    path: '/v1/agent/metrics/stream',
    operations: {
      GET: acting({
        summary: 'What this agent counted, a JSON object whenever an interval ends.',
        query: {},
        body: undefined,
        answers: { 200: { stream: 'one interval a line', type: TYPE } },
        access: rights,
        run: ({ who }): Acted =>
          refuse(who, rights()) ?? {
            status: 200,
            type: TYPE,
            parts: signal => intervals(source, signal),
          },
      }),
    },
  })
}

/** Whole intervals as they end; those that end while the client does not read are left out. */
async function* intervals(source: MetricsSource, signal: AbortSignal): AsyncIterable<string> {
  while (!signal.aborted) {
    await new Promise<void>(resolve => {
      const done = (): void => {
        stop()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const stop = source.metrics.onInterval(done)
      signal.addEventListener('abort', done)
    })
    if (signal.aborted) return
    yield `${JSON.stringify(metricsSummary(source.metrics, source.naming()))}\n`
  }
}

const CRITICAL_DAYS = 7
const WARNING_DAYS = 30

function certificatesPath(source: MetricsSource): PathDeclaration {
  const rights = () => [access('read', 'agent', source.nodeName)]
  const shape = object({
    certificates: list(map(anything)),
    summary: object({ total: int, by_severity: map(int), by_type: map(int) }),
    thresholds: object({ critical_days: int, warning_days: int }),
    cached: bool,
  })
  return definePath({
    where: 'agent',
    path: '/v1/agent/metrics/certificates',
    operations: {
      GET: acting({
        summary: 'The certificates that this agent shows, and when they end.',
        query: {},
        body: undefined,
        answers: { 200: { json: shape, help: 'certificates' } },
        access: rights,
        run: ({ who }) => refuse(who, rights()) ?? json(certificatesOf(source)),
      }),
    },
  })
}

function certificatesOf(source: MetricsSource): unknown {
  const certificates = source.certificates().map(each => certificateOf(each, source))
  const bySeverity: Record<string, number> = {}
  for (const { severity } of certificates) bySeverity[severity] = (bySeverity[severity] ?? 0) + 1
  const total = certificates.length
  return {
    certificates,
    summary: { total, by_severity: bySeverity, by_type: total === 0 ? {} : { agent: total } },
    thresholds: { critical_days: CRITICAL_DAYS, warning_days: WARNING_DAYS },
    cached: false,
  }
}

const SEVERITIES = {
  CRITICAL: { severity_score: 90, color: 'red' },
  WARNING: { severity_score: 50, color: 'yellow' },
  INFO: { severity_score: 10, color: 'green' },
} as const

function certificateOf(certificate: AgentCertificate, { nodeName, now }: MetricsSource) {
  const { use, path, serial, subject, issuer, notAfter } = certificate
  const DAY_SECONDS = 86_400
  const seconds = Math.floor((notAfter.getTime() - now()) / 1_000)
  const days = Math.floor(seconds / DAY_SECONDS)
  const severity = days < CRITICAL_DAYS ? 'CRITICAL' : days < WARNING_DAYS ? 'WARNING' : 'INFO'
  return {
    id: serial,
    name: use,
    type: 'agent',
    subtype: use,
    subject,
    issuer,
    not_after: notAfter.toISOString(),
    days_remaining: days,
    seconds_remaining: seconds,
    severity,
    ...SEVERITIES[severity],
    auto_renewable: false,
    requires_manual_rotation: true,
    path,
    node_name: nodeName,
  }
}

const PROMETHEUS_TYPES = /application\/openmetrics-text|text\/plain\s*;\s*version=0\.0\.4/i
const OFF_TEXT = 'Prometheus is not enabled since its retention time is not positive'

function prometheusReply(source: MetricsSource): Reply {
  const retentionMs = source.prometheusRetentionMs()
  const type = 'text/plain; version=0.0.4; charset=utf-8'
  if (retentionMs > 0) {
    return { status: 200, type, body: prometheusText(source.metrics, source.naming(), retentionMs) }
  }
  const headers = { 'X-Consul-Reason': OFF_TEXT }
  return { status: 415, type: 'text/plain; charset=utf-8', body: OFF_TEXT, headers }
}
